// What the agent asks of the arbiter: fixed-size records over a SOCK_SEQPACKET socketpair, one datagram each
// way.
//
// The arbiter parses no text and nothing that came from the network: it checks enumerators and ranges, and
// that a command names the generation that is there now. Who may ask is the agent's business.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "signalbox/detail/tunable.hpp"

namespace signalbox::supervisor {

enum class Operation : std::uint32_t {
    cycle_worker = 1,  ///< slot, generation
    cycle_group = 2,
    scale = 3,        ///< workers
    set = 4,          ///< setting, setting_type, value
    keep_worker = 5,  ///< slot, generation: takes a cycle back
    upgrade = 6,      ///< the program anew, in place of this one
};

struct Command {
    std::uint64_t id = 0;  ///< comes back in the answer
    Operation operation{};
    std::uint32_t slot = 0;
    std::uint64_t generation = 0;
    std::uint32_t workers = 0;
    std::uint32_t setting = 0;           ///< its index in the segment's table
    detail::SettingType setting_type{};  ///< as which the value was read
    Role role = Role::viewer;            ///< of who asked
    std::uint64_t value = 0;             ///< a tunable's word
    char principal[64] = {};             ///< who asked, for the event; zero-terminated
};

enum class Outcome : std::uint32_t {
    accepted = 0,
    stale = 1,    ///< the generation named is not there (any more)
    refused = 2,  ///< possible, but not now or not so; the text says why
};

struct Answer {
    std::uint64_t id = 0;
    Outcome outcome{};
    std::uint32_t from_workers = 0;  ///< scale: before …
    std::uint32_t to_workers = 0;    ///< … and after
    std::uint32_t reserved = 0;
    char text[160] = {};  ///< one readable sentence; zero-terminated
};

static_assert(std::is_trivially_copyable_v<Command> && std::is_trivially_copyable_v<Answer>);

}  // namespace signalbox::supervisor
