# Finds LibTorch and defines the target LibTorch::LibTorch. Looks, in this order, at
#   1. what the user points at: Torch_DIR, CMAKE_PREFIX_PATH (and the system's folders),
#   2. the torch package of the active python3,
#   3. the one in the project's own .venv, which script/setup makes,
#   4. LibTorch_FALLBACK_DIR: the one that an installed natgrad was built with.
# What the user points at is skipped with a warning if it is of the wrong version.

# Where a python's torch keeps its CMake files: torch.utils.cmake_prefix_path, but without the
# import, which takes seconds.
function(_libtorch_dir_of python out)
  execute_process(
    COMMAND "${python}" -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE package RESULT_VARIABLE failed ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    set(${out} "" PARENT_SCOPE)
  else()
    set(${out} "${package}/share/cmake/Torch" PARENT_SCOPE)
  endif()
endfunction()

# Sets PACKAGE_VERSION and how it compares to what is wanted.
macro(_libtorch_version_of dir)
  set(PACKAGE_FIND_VERSION "${LibTorch_FIND_VERSION}")
  unset(PACKAGE_VERSION_EXACT)
  include("${dir}/TorchConfigVersion.cmake")
endmacro()

# Torch's own CMake files fail where torch was built with CUDA, as pip's default one is, but CUDA's
# compiler is not fully installed. natgrad compiles no CUDA code: it needs only the libraries.
macro(_libtorch_with_cuda dir)
  _libtorch_version_of("${dir}")
  if(PACKAGE_VERSION_EXACT OR (PACKAGE_VERSION_COMPATIBLE AND NOT _libtorch_exact))
    get_filename_component(_root "${dir}/../../.." ABSOLUTE)
    set(Torch_FOUND TRUE)
    set(Torch_VERSION "${PACKAGE_VERSION}")
    set(Torch_DIR "${dir}" CACHE PATH "The folder of TorchConfig.cmake" FORCE)
    set(TORCH_INCLUDE_DIRS "${_root}/include" "${_root}/include/torch/csrc/api/include")
    # libtorch.so is empty but for its needs, among them the CUDA library, which registers itself.
    set(TORCH_LIBRARIES
        "-Wl,--no-as-needed,${_root}/lib/libtorch.so,--as-needed"
        "${_root}/lib/libtorch_cpu.so" "${_root}/lib/libc10.so"
        -Wl,--allow-shlib-undefined)
    set(_libtorch_definitions USE_DISTRIBUTED USE_C10D_GLOO)
  endif()
endmacro()

macro(_libtorch_try dir)
  if(NOT Torch_FOUND AND EXISTS "${dir}/TorchConfig.cmake")
    if(EXISTS "${dir}/../../../lib/libtorch_cuda.so")
      _libtorch_with_cuda("${dir}")
    else()
      find_package(Torch ${LibTorch_FIND_VERSION} ${_libtorch_exact} QUIET GLOBAL
                   PATHS "${dir}" NO_DEFAULT_PATH)
    endif()
  endif()
endmacro()

set(_libtorch_wanted "${LibTorch_FIND_VERSION} or newer")
set(_libtorch_exact "")
if(LibTorch_FIND_VERSION_EXACT)
  set(_libtorch_wanted "${LibTorch_FIND_VERSION}")
  set(_libtorch_exact EXACT)
endif()

# Torch's own file warns about libraries (kineto) that its wheels do not contain and nobody needs.
set(_log_level "${CMAKE_MESSAGE_LOG_LEVEL}")
set(CMAKE_MESSAGE_LOG_LEVEL ERROR)

find_path(Torch_DIR TorchConfig.cmake
  HINTS ENV Torch_DIR ${CMAKE_PREFIX_PATH} ENV CMAKE_PREFIX_PATH
  PATH_SUFFIXES share/cmake/Torch Torch
  DOC "The folder of TorchConfig.cmake")
set(_pointed "${Torch_DIR}")
_libtorch_try("${_pointed}")
unset(_skipped)
if(NOT Torch_FOUND AND EXISTS "${_pointed}/TorchConfigVersion.cmake")
  _libtorch_version_of("${_pointed}")
  string(CONCAT _skipped "The LibTorch at ${_pointed} is ${PACKAGE_VERSION}, "
                         "but natgrad needs ${_libtorch_wanted}")
endif()
set(_pythons python3 "${PROJECT_SOURCE_DIR}/.venv/bin/python")
if(DEFINED ENV{VIRTUAL_ENV})  # pyenv puts another python3 before the active one when it runs cmake
  list(PREPEND _pythons "$ENV{VIRTUAL_ENV}/bin/python3")
endif()
foreach(_python IN LISTS _pythons)
  if(NOT Torch_FOUND)
    _libtorch_dir_of("${_python}" _dir)
    _libtorch_try("${_dir}")
  endif()
endforeach()
_libtorch_try("${LibTorch_FALLBACK_DIR}")

set(CMAKE_MESSAGE_LOG_LEVEL "${_log_level}")

if(_skipped AND Torch_FOUND)
  message(WARNING "${_skipped}: taking ${Torch_VERSION} at ${Torch_DIR} instead.")
elseif(_skipped)
  message(WARNING "${_skipped}.")
endif()
if(NOT Torch_FOUND AND LibTorch_FIND_REQUIRED)
  message(FATAL_ERROR "LibTorch ${_libtorch_wanted} is missing: run natgrad's script/setup to "
                      "install it, or say where it is with -DTorch_DIR=<...>/share/cmake/Torch.")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS Torch_DIR TORCH_LIBRARIES VERSION_VAR Torch_VERSION)

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED GLOBAL)
  separate_arguments(_flags NATIVE_COMMAND "${TORCH_CXX_FLAGS}")
  set_target_properties(LibTorch::LibTorch PROPERTIES
    INTERFACE_LINK_LIBRARIES "${TORCH_LIBRARIES}"
    INTERFACE_INCLUDE_DIRECTORIES "${TORCH_INCLUDE_DIRS}"
    INTERFACE_COMPILE_DEFINITIONS "${_libtorch_definitions}"
    INTERFACE_COMPILE_OPTIONS "${_flags}")
endif()
