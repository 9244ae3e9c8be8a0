#pragma once

/// Marks what a shared libnatgrad exports; everything else in it is hidden.
#if defined(_WIN32)
#define NATGRAD_EXPORT
#else
#define NATGRAD_EXPORT __attribute__((visibility("default")))
#endif
