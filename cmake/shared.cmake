# SPDX-License-Identifier: MIT
# The shared library: the objects of the static one, which are position independent, behind a list of what is exported.
set(VMMU_SYMBOLS ${PROJECT_SOURCE_DIR}/cmake/libvmmu.map)

add_library(vmmu_shared SHARED)
# CMake wants a source of its own to know the language.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/shared.c CONTENT "/* Everything is in the static library. */\n" @ONLY)
target_sources(vmmu_shared PRIVATE ${PROJECT_BINARY_DIR}/shared.c)
target_include_directories(vmmu_shared INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
  $<INSTALL_INTERFACE:include>)
target_link_libraries(vmmu_shared PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,vmmu> $<BUILD_INTERFACE:vmmu_flags>)
target_link_options(vmmu_shared PRIVATE LINKER:--version-script=${VMMU_SYMBOLS})
if(NOT VMMU_SANITIZE)
  # A sanitizer's own symbols come with the program.
  target_link_options(vmmu_shared PRIVATE LINKER:--no-undefined)
endif()
# The number behind libvmmu.so is the interface's: it moves when a program built against an older one would not run.
set_target_properties(vmmu_shared PROPERTIES OUTPUT_NAME vmmu EXPORT_NAME vmmu VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${VMMU_SYMBOLS})
set_target_properties(vmmu PROPERTIES EXPORT_NAME vmmu_static)
