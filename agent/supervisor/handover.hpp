// What two arbiters say to each other while one replaces the other: fixed-size records over a SOCK_SEQPACKET socketpair,
// with descriptors (SCM_RIGHTS). The programs may be of different versions, so nothing is believed that does not fit.
//
//     old → new   sockets*, segment, pid_file?, errors, all_told     before the new program is even executed
//     new → old   running                                    Group::run() has been called
//     new → old   ready                                      all its workers serve
//     old → new   take_over                                  the old agent has ended; the old workers begin to drain
//     both        end of file                                the other one has ended
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace signalbox::supervisor {

/// The environment variable with the number of the new program's end.
inline constexpr std::string_view kHandoverVariable = "SIGNALBOX_UPGRADE";

inline constexpr std::uint32_t kHandoverMagic = 0x50554253;  // "SBUP"
inline constexpr std::uint32_t kHandoverVersion = 1;
inline constexpr std::size_t kSocketsPerRecord = 16;

enum class Note : std::uint32_t {
    sockets = 1,   ///< descriptors that are bound, with the addresses that were asked for
    segment = 2,   ///< of the old group, to be read only
    pid_file = 3,  ///< open and locked; the lock is of the open file, and so shared
    errors = 4,    ///< the group's own stderr; until `running`, what the new program writes there is kept
    all_told = 5,
    running = 6,
    ready = 7,
    take_over = 8,
    cannot_start = 9,  ///< from the forked process: `text` says what is in the way of executing the program
};

struct HandoverRecord {
    std::uint32_t magic = kHandoverMagic;
    std::uint32_t version = kHandoverVersion;
    Note note{};
    std::uint32_t descriptors = 0;  ///< how many come with it
    std::array<std::uint32_t, kSocketsPerRecord> address_bytes{};
    std::array<sockaddr_storage, kSocketsPerRecord> addresses{};
    char text[256] = {};  ///< zero-terminated
};
static_assert(std::is_trivially_copyable_v<HandoverRecord> && sizeof(HandoverRecord) == 2384);

/// Sends without waiting. False with errno: it could not.
bool send_record(int socket, const HandoverRecord& record, const std::vector<int>& descriptors = {});

struct ReceivedRecord {
    enum class Kind { nothing, end, garbage, record };
    Kind kind = Kind::nothing;
    HandoverRecord record{};
    std::vector<int> descriptors{};  ///< the caller's; close on exec
    std::string complaint{};         ///< about garbage: "17 bytes that are no record of an upgrade"
};
/// Never waits. Of garbage no descriptor is left open.
ReceivedRecord receive_record(int socket);

/// And makes it -1.
void close_if_open(int& descriptor);

}  // namespace signalbox::supervisor
