#pragma once

/// The version of the headers, as `find_package(natgrad)` knows it: 10000 major + 100 minor +
/// patch.
#define NATGRAD_VERSION_MAJOR 0
#define NATGRAD_VERSION_MINOR 1
#define NATGRAD_VERSION_PATCH 0
#define NATGRAD_VERSION \
  (10000 * NATGRAD_VERSION_MAJOR + 100 * NATGRAD_VERSION_MINOR + NATGRAD_VERSION_PATCH)
