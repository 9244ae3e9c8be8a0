# `cmake --install`: the library, its headers, and what find_package(natgrad) reads; and `cpack`,
# which makes a Debian package of these.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# A shared libnatgrad finds LibTorch where this build found it.
cmake_path(SET torch_libraries NORMALIZE "${Torch_DIR}/../../../lib")
set_target_properties(natgrad PROPERTIES INSTALL_RPATH "${torch_libraries}")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/natgrad")
install(TARGETS natgrad EXPORT natgradTargets FILE_SET HEADERS)
install(EXPORT natgradTargets NAMESPACE natgrad:: DESTINATION "${package_dir}")

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/natgradConfig.cmake.in" natgradConfig.cmake
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
# While the version is 0.x, each minor one may change the interface.
write_basic_package_version_file(natgradConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/natgradConfig.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/natgradConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake"
        DESTINATION "${package_dir}")

# Where Debian looks for a package's licence.
set(debian_package libnatgrad-dev)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "share/doc/${debian_package}"
        RENAME copyright)

# The package holds the static library: a shared one knows this build's LibTorch by its path.
get_target_property(library_type natgrad TYPE)
if(NOT PROJECT_IS_TOP_LEVEL OR NOT library_type STREQUAL STATIC_LIBRARY)
  return()
endif()
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME ${debian_package})
set(CPACK_PACKAGE_CONTACT "the natgrad authors")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "g++ (>= 4:12) | clang (>= 1:16), cmake (>= 3.25)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3-pip, ninja-build")
string(CONCAT CPACK_DEBIAN_PACKAGE_DESCRIPTION  # below one line, PROJECT_DESCRIPTION
  "The static library, its headers, and what find_package(natgrad) reads.\n\n"
  "It was compiled with LibTorch ${Torch_VERSION} and needs that version, which is no\n"
  "Debian package and so no dependency of this one. Install it with pip:\n"
  "pip install torch==${Torch_VERSION}. find_package(natgrad) takes it from Torch_DIR or\n"
  "CMAKE_PREFIX_PATH, from the active python3, or from a .venv in the project.")
include(CPack)
