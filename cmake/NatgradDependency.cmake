# natgrad_dependency(<package> TARGET <target> APT <debian package> GIT <url> TAG <tag>)
#
# Makes sure that <target> exists: from an installed package, else downloaded and built with the
# project. Ends with one sentence that says what to install when neither works.
include_guard(GLOBAL)
include(FetchContent)

function(natgrad_dependency package)
  cmake_parse_arguments(arg "" "TARGET;APT;GIT;TAG" "" ${ARGN})
  if(TARGET ${arg_TARGET})
    return()
  endif()
  find_package(${package} QUIET GLOBAL)
  if(TARGET ${arg_TARGET})
    message(STATUS "Found ${package} ${${package}_VERSION}: ${${package}_DIR}")
    return()
  endif()

  # FetchContent ends with pages of a failed sub-build when it cannot download: ask first.
  string(TOUPPER ${package} upper)
  string(TOLOWER ${package} lower)
  if(NOT FETCHCONTENT_SOURCE_DIR_${upper} AND NOT EXISTS "${FETCHCONTENT_BASE_DIR}/${lower}-src")
    execute_process(
      COMMAND "${CMAKE_COMMAND}" -E env GIT_TERMINAL_PROMPT=0
              git ls-remote --exit-code ${arg_GIT} refs/tags/${arg_TAG}
      RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET TIMEOUT 30)
    if(failed)
      message(FATAL_ERROR "${package} is missing and ${arg_GIT} cannot be reached: "
                          "install it with `apt-get install ${arg_APT}`, or run script/setup.")
    endif()
    message(STATUS "Downloading ${package} ${arg_TAG}")
  endif()
  set(exclude "")
  if(CMAKE_VERSION VERSION_GREATER_EQUAL 3.28)
    set(exclude EXCLUDE_FROM_ALL)  # and from natgrad's installation
  endif()
  FetchContent_Declare(${package} GIT_REPOSITORY ${arg_GIT} GIT_TAG ${arg_TAG}
                       GIT_SHALLOW ON UPDATE_DISCONNECTED ON ${exclude} SYSTEM)
  FetchContent_MakeAvailable(${package})
endfunction()
