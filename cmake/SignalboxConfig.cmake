# find_package(Signalbox): Signalbox::group is the whole runtime, Signalbox::telemetry the instruments alone.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(OpenSSL 3)
find_dependency(Boost 1.81)
find_dependency(nlohmann_json)
find_dependency(fmt)
find_dependency(ZLIB)
include(${CMAKE_CURRENT_LIST_DIR}/SignalboxTargets.cmake)
