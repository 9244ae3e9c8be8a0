# Finds LibTorch and defines the target LibTorch::LibTorch. Looks, in this order, at
#   1. what the user points at: Torch_DIR, CMAKE_PREFIX_PATH (and the system's folders),
#   2. the torch package of the active python3,
#   3. the one in the project's own .venv, which script/setup makes.

# Where a python keeps torch's CMake files (torch.utils.cmake_prefix_path, without the slow import).
function(_libtorch_prefix_of python out)
  execute_process(
    COMMAND "${python}" -c
      "import importlib.util as u, os; print(os.path.join(u.find_spec('torch').submodule_search_locations[0], 'share', 'cmake'))"
    RESULT_VARIABLE failed OUTPUT_VARIABLE prefix ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(failed)
    set(prefix "")
  endif()
  set(${out} "${prefix}" PARENT_SCOPE)
endfunction()

# Torch's own file warns about libraries (kineto) that its wheels do not contain and nobody needs.
set(_log_level "${CMAKE_MESSAGE_LOG_LEVEL}")
set(CMAKE_MESSAGE_LOG_LEVEL ERROR)

find_package(Torch ${LibTorch_FIND_VERSION} QUIET)
foreach(_python IN ITEMS python3 "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  if(NOT Torch_FOUND)
    _libtorch_prefix_of("${_python}" _prefix)
    if(_prefix)
      find_package(Torch ${LibTorch_FIND_VERSION} QUIET PATHS "${_prefix}" NO_DEFAULT_PATH)
    endif()
  endif()
endforeach()
set(CMAKE_MESSAGE_LOG_LEVEL "${_log_level}")

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS Torch_DIR TORCH_LIBRARIES
  VERSION_VAR Torch_VERSION
  REASON_FAILURE_MESSAGE
    "LibTorch is missing: run script/setup to install it, or name yours with -DTorch_DIR=<...>/share/cmake/Torch.")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED GLOBAL)
  separate_arguments(_flags NATIVE_COMMAND "${TORCH_CXX_FLAGS}")
  set_target_properties(LibTorch::LibTorch PROPERTIES
    INTERFACE_LINK_LIBRARIES "${TORCH_LIBRARIES}"
    INTERFACE_INCLUDE_DIRECTORIES "${TORCH_INCLUDE_DIRS}"
    INTERFACE_COMPILE_OPTIONS "${_flags}")
endif()
