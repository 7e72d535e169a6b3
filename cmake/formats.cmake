# SPDX-License-Identifier: MIT
# Programs with PTE formats of their own compile the library's templates: docs/formats.md.
#
# vmmu_target_formats(TARGET): the sources of TARGET may include the templates; it is linked with the static library,
# whose inner functions they call. Library and templates are of one version, and built with the same sanitizers.
set(VMMU_TEMPLATE_DIR ${PROJECT_SOURCE_DIR}/src CACHE INTERNAL "Where the templates are")
function(vmmu_target_formats target)
  target_include_directories(${target} PRIVATE ${VMMU_TEMPLATE_DIR})
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE -fno-strict-aliasing)
  target_link_libraries(${target} PRIVATE vmmu)
endfunction()
