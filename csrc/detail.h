#pragma once

namespace natgrad {

/// What users do not call. Within the library its names are at hand; the installed headers do not
/// name it but for declarations.
namespace detail {}
using namespace detail;

}  // namespace natgrad
