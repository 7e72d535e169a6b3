# SPDX-License-Identifier: MIT
# What `cmake --install` puts where. Components, which are also the Debian packages: runtime, dev, tool.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(vmmu_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vmmu)
target_include_directories(vmmu INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS vmmu_shared EXPORT vmmuTargets
  LIBRARY COMPONENT runtime NAMELINK_COMPONENT dev)
# Apart, because linking it needs the libraries that it is made with.
install(TARGETS vmmu EXPORT vmmuStaticTargets ARCHIVE COMPONENT dev)
install(DIRECTORY include/vmmu TYPE INCLUDE COMPONENT dev FILES_MATCHING PATTERN "*.h")
install(EXPORT vmmuTargets NAMESPACE vmmu:: DESTINATION ${vmmu_cmake_dir} COMPONENT dev)
install(EXPORT vmmuStaticTargets NAMESPACE vmmu:: DESTINATION ${vmmu_cmake_dir} COMPONENT dev)

configure_package_config_file(cmake/vmmuConfig.cmake.in ${PROJECT_BINARY_DIR}/vmmuConfig.cmake
  INSTALL_DESTINATION ${vmmu_cmake_dir})
# Before 1.0 a new minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vmmuConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vmmuConfig.cmake ${PROJECT_BINARY_DIR}/vmmuConfigVersion.cmake
  DESTINATION ${vmmu_cmake_dir} COMPONENT dev)

set(vmmu_requires "liburcu-memb libxxhash zlib")
if(ZSTD_FOUND)
  string(APPEND vmmu_requires " libzstd")
endif()
if(VMMU_ALLOCATOR STREQUAL "jemalloc")
  string(APPEND vmmu_requires " jemalloc")
endif()
# A prefix relative to where the file stands, so that an installed tree can be moved.
file(RELATIVE_PATH vmmu_pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" vmmu_pc_up "${vmmu_pc_up}")
configure_file(cmake/vmmu.pc.in ${PROJECT_BINARY_DIR}/vmmu.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vmmu.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

install(TARGETS vmmu-command RUNTIME COMPONENT tool)
if(TARGET vmmu-trace-dat)
  install(TARGETS vmmu-trace-dat RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/vmmu COMPONENT tool)
endif()
install(FILES man/vmmu.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
install(FILES man/libvmmu.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT dev)
install(FILES completion/vmmu DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tool)
