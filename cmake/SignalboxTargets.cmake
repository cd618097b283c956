# How every target of Signalbox is compiled, and the functions that declare them.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(SIGNALBOX_CCACHE ccache)
if(SIGNALBOX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # Precompiled headers carry time stamps that ccache must not look at.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
        ${SIGNALBOX_CCACHE})
endif()
find_program(SIGNALBOX_MOLD mold)
if(SIGNALBOX_MOLD)
    add_link_options(-fuse-ld=mold)
endif()

add_library(signalbox_options INTERFACE)
target_compile_options(signalbox_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports these inside Asio's and fmt's headers once they are inlined.
    target_compile_options(signalbox_options INTERFACE -fpch-preprocess -Wno-maybe-uninitialized -Wno-array-bounds
        -Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict -Wno-dangling-pointer)
endif()
if(SIGNALBOX_WERROR)
    target_compile_options(signalbox_options INTERFACE -Werror)
endif()
if(SIGNALBOX_SANITIZE)
    add_compile_options(-fsanitize=${SIGNALBOX_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${SIGNALBOX_SANITIZE})
endif()
if(SIGNALBOX_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# signalbox_library(NAME SOURCES...): a static library `signalbox_NAME`, alias `Signalbox::NAME`, installed and exported.
function(signalbox_library name)
    add_library(signalbox_${name} STATIC ${ARGN})
    add_library(Signalbox::${name} ALIAS signalbox_${name})
    set_target_properties(signalbox_${name} PROPERTIES EXPORT_NAME ${name})
    target_include_directories(signalbox_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
    target_link_libraries(signalbox_${name} PRIVATE $<BUILD_INTERFACE:signalbox_options>)
    set_property(GLOBAL APPEND PROPERTY SIGNALBOX_LIBRARIES signalbox_${name})
endfunction()

# signalbox_public_headers(NAME BASE_DIR FILES...): headers that a server includes. They are installed, and the target
# all_verify_interface_header_sets checks that each compiles by itself.
function(signalbox_public_headers name base_dir)
    target_sources(signalbox_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${base_dir} FILES ${ARGN})
    set_target_properties(signalbox_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()

# Installs all of these libraries, their headers and the package that find_package(Signalbox) reads.
function(signalbox_install)
    include(CMakePackageConfigHelpers)
    get_property(libraries GLOBAL PROPERTY SIGNALBOX_LIBRARIES)
    install(TARGETS ${libraries} EXPORT SignalboxTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/signalbox)
    set(directory ${CMAKE_INSTALL_LIBDIR}/cmake/Signalbox)
    install(EXPORT SignalboxTargets NAMESPACE Signalbox:: DESTINATION ${directory})
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/SignalboxConfigVersion.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_SOURCE_DIR}/cmake/SignalboxConfig.cmake ${PROJECT_BINARY_DIR}/SignalboxConfigVersion.cmake
        DESTINATION ${directory})
endfunction()

# For static libraries full of Asio or Beast. (Not for programs: they are compiled as -fPIE, the header as -fPIC.)
function(signalbox_precompiled_asio target)
    target_precompile_headers(${target} REUSE_FROM signalbox_asio)
endfunction()

# signalbox_test(NAME SOURCES... LIBRARIES ...): a QtTest program `test_NAME`, run by CTest as NAME.
# QT_QPA_PLATFORM is offscreen and XDG_RUNTIME_DIR in the build; a test that hangs is ended after TIMEOUT seconds (120),
# three times that under sanitizers. PRECOMPILED names the target whose precompiled header it uses: test_support unless
# said; `none` for one that links more of Qt than its core, since Qt Test's headers differ then.
# moc runs on the test's source alone: what AUTOMOC does besides takes longer than to compile most tests.
function(signalbox_test name)
    cmake_parse_arguments(arg "" "TIMEOUT;PRECOMPILED" "SOURCES;LIBRARIES;LABELS" ${ARGN})
    add_executable(test_${name} ${arg_SOURCES})
    target_link_libraries(test_${name} PRIVATE ${arg_LIBRARIES} test_support signalbox_options)
    foreach(source IN LISTS arg_SOURCES)
        if(source MATCHES "^(test_.*)\\.cpp$")
            qt_generate_moc(${source} ${CMAKE_MATCH_1}.moc)
            target_sources(test_${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${CMAKE_MATCH_1}.moc)
        endif()
    endforeach()
    target_include_directories(test_${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
    if(NOT arg_PRECOMPILED)
        set(arg_PRECOMPILED test_support)
    endif()
    if(NOT arg_PRECOMPILED STREQUAL none)
        target_precompile_headers(test_${name} REUSE_FROM ${arg_PRECOMPILED})
    endif()
    add_test(NAME ${name} COMMAND test_${name})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    if(SIGNALBOX_SANITIZE)
        # Above all fork is slow then: its shadow memory is copied, too.
        math(EXPR arg_TIMEOUT "3 * ${arg_TIMEOUT}")
    endif()
    set(environment QT_QPA_PLATFORM=offscreen XDG_RUNTIME_DIR=${CMAKE_BINARY_DIR}/runtime SIGNALBOX_BIN_DIR=${CMAKE_BINARY_DIR}/bin)
    if(SIGNALBOX_SANITIZE MATCHES thread)
        # Qt Test's watchdog is a thread, so that what a test forks has been forked from several; it may start its own.
        # A child that ends with _exit does not care for reports: a race must end it, so that its test fails.
        list(APPEND environment "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp die_after_fork=0 halt_on_error=1")
    endif()
    set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" ENVIRONMENT "${environment}")
endfunction()

# signalbox_program(NAME SOURCES...): an executable in build/PRESET/bin.
function(signalbox_program name)
    add_executable(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    target_link_libraries(${name} PRIVATE signalbox_options)
endfunction()
