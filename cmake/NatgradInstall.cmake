# `cmake --install`: the library, its headers, and what find_package(natgrad) reads.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# A shared libnatgrad finds LibTorch where this build found it.
cmake_path(SET torch_libraries NORMALIZE "${Torch_DIR}/../../../lib")
set_target_properties(natgrad PROPERTIES INSTALL_RPATH "${torch_libraries}")

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/natgrad")
install(TARGETS natgrad EXPORT natgradTargets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/natgrad" TYPE INCLUDE)
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
