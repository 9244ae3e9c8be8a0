#pragma once

/// @file
/// The version of the headers, as `find_package(natgrad)` knows it.

#define NATGRAD_VERSION_MAJOR 0  ///< changes with what breaks programs, from 1 on
#define NATGRAD_VERSION_MINOR 1  ///< with what is new
#define NATGRAD_VERSION_PATCH 0  ///< with what is mended
/// 10000 major + 100 minor + patch.
#define NATGRAD_VERSION \
  (10000 * NATGRAD_VERSION_MAJOR + 100 * NATGRAD_VERSION_MINOR + NATGRAD_VERSION_PATCH)
