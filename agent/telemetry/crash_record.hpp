// How a worker crashed, as readers see it, and how the arbiter keeps it.
//
//     for (const CrashInfo& crash : view.crashes())
//         fmt::print("worker {}: {}\n", crash.slot, describe(crash));
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/telemetry/layout.hpp"

namespace signalbox::telemetry {

class Segment;

/// What the crashed process said that it had mapped. Its writer may be broken: the path is any text.
struct ModuleInfo {
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    std::uint64_t file_address = 0;
    std::array<std::uint8_t, 16> build_id{};  ///< zero: it has none
    std::string path;                         ///< its last 96 bytes

    bool has_build_id() const { return build_id != std::array<std::uint8_t, 16>{}; }
    std::string name() const;  ///< without the directory
};

struct CrashFrame {
    std::uint64_t address = 0;
    std::optional<std::size_t> module;  ///< index into CrashInfo::modules
    std::uint64_t offset = 0;           ///< in the module's file, as addr2line takes it
};

struct CrashInfo {
    std::uint32_t slot = 0;
    std::uint64_t generation = 0;
    std::uint32_t pid = 0;
    std::uint32_t tid = 0;
    int signal = 0;
    int code = 0;               ///< si_code
    std::uint64_t address = 0;  ///< that was touched; 0 if somebody sent the signal
    std::uint64_t monotonic_ns = 0;
    std::string activity;  ///< what the event loop was at; "": nothing
    std::uint64_t activity_since_ns = 0;
    std::vector<CrashFrame> frames;  ///< innermost first; all but the first are return addresses
    std::vector<ModuleInfo> modules;
};

/// Reads a record with one pass over it; none if nothing has happened, if it is half-written or makes no sense.
/// Modules and frames that make no sense are left out. The text is anybody's.
std::optional<CrashInfo> read_crash(const CrashRecord& record, std::uint32_t slot_count);

/// "SIGSEGV"; "signal 77" if it has no name.
std::string signal_name(int signal);

/// "SIGSEGV at 0xdead: mailroom+0x41f3 < mailroom+0x5020 < libc.so.6+0x2724a", the innermost `most` frames, printable.
std::string describe(const CrashInfo& crash, std::size_t most = 6);

/// What the process of a seat has mapped, as far as it makes sense.
std::vector<ModuleInfo> read_modules(const CrashRecord& record);
/// Finds the module of an address; `returned_to`: it is a return address.
CrashFrame place_frame(std::uint64_t address, bool returned_to, const std::vector<ModuleInfo>& modules);
/// "mailroom+0x41f3 < libc.so.6+0x2724a", the innermost `most` frames, printable; "" without frames.
std::string describe_frames(const std::vector<CrashFrame>& frames, const std::vector<ModuleInfo>& modules,
                            std::size_t most = 6);

/// Copies the record of the process in `seat`, whose generation this is, to where the last ones are kept; none if it
/// did not crash. The arbiter only, before it retires the seat.
std::optional<CrashInfo> keep_crash(Segment& segment, unsigned seat, std::uint64_t generation);

}  // namespace signalbox::telemetry
