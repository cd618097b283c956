// What connections, tasks or letters are at: how many are in each state now, how long they stay, how often
// they go from one to another, and how regularly.
//
//     enum class Client { handshaking, idle, busy, closing };
//     signalbox::StateTracker clients(telemetry, "client", "Client connections",
//                                     {"handshaking", "idle", "busy", "closing"});
//     {
//         auto client = clients.enter(Client::handshaking);
//         client.move_to(Client::busy);
//         ...
//     }                                                                   // leaves, also by an exception
//
// It is a first-order Markov view: transitions are counted by where they come from and lead to, so that the
// share of transitions{from="busy"} that has to="closing" is the probability that a busy client closes next.
// It is kept in ordinary instruments, which exporters and consoles know without knowing of trackers:
//
//     NAME_state_count{state=}                       gauge: how many are in it now
//     NAME_state_duration_seconds{state=}            how long they stayed, each time one went on or left
//     NAME_transitions_total{from=,to=}              entering has from="", leaving to=""
//     NAME_transition_interval_seconds{from=,to=}    between two of a kind in the same process
//     NAME_transitions_dropped_total                 those for whose kind the directory had no more room
//
// Of n states these are 2n + 1 instruments, n of them distributions, and two more, one a distribution, for
// each kind of transition that ever occurs: allow for them in TelemetryOptions.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "signalbox/telemetry.hpp"

namespace signalbox {

namespace detail {
class StateTable;
}

/// A value like other instruments: copies are one tracker. The Telemetry outlives all of them, and a tracker
/// its transitors (one that outlives the last copy is an error that nothing detects).
class StateTracker {
public:
    static constexpr std::size_t kMaxStates = 16;

    /// A state by its place in the list: a number from 0, or an enumerator of that value.
    class State {
    public:
        template <class Place>
        requires(std::integral<Place> || std::is_enum_v<Place>) constexpr State(Place place) noexcept
            : place_(static_cast<std::size_t>(place)) {}
        constexpr std::size_t place() const noexcept { return place_; }

    private:
        std::size_t place_;
    };

    /// `name` as of an instrument, without a suffix, and `help`, of up to 64 bytes each; 1 … 16 different
    /// states, each a label's value of up to 64 bytes. Throws std::invalid_argument otherwise, and as Counter
    /// does.
    StateTracker(Telemetry& telemetry, std::string_view name, std::string_view help,
                 const std::vector<std::string>& states,
                 std::source_location where = std::source_location::current());

    /// One connection or task: in a state until it moves on or ends. May travel between threads, but is used
    /// by one at a time, as any object.
    class Transitor {
    public:
        Transitor() noexcept = default;  ///< in no state; enter() gives those that are
        Transitor(Transitor&& other) noexcept { take(other); }
        Transitor& operator=(Transitor&& other) noexcept {
            if (this == &other) return *this;
            leave();
            take(other);
            return *this;
        }
        ~Transitor() { leave(); }

        /// Costs one clock read and a few stores, together about 40 nanoseconds (`./dev bench record`); the
        /// first transition of a kind in a process registers its instruments, which takes microseconds. To the
        /// state that it is in: that stay ends and another begins. Asserts that `to` is a state, and that this
        /// one is in any.
        ///
        /// What was entered before the process attached (or forked and attached) has not been counted, and is
        /// from its first move on, as if it had entered then.
        void move_to(State to) noexcept;

        /// Leaves now; afterwards it is in no state. Does nothing if it is not in any.
        void leave() noexcept;

        bool in_a_state() const noexcept { return table_ != nullptr; }

    private:
        friend class StateTracker;
        void take(Transitor& other) noexcept {
            table_ = std::exchange(other.table_, nullptr);
            since_ = other.since_;
            attachment_ = other.attachment_;
            state_ = other.state_;
        }

        detail::StateTable* table_ = nullptr;
        std::uint64_t since_ = 0;  ///< detail::section_now()
        std::uint32_t attachment_ =
            0;  ///< the process' when it entered: another one's gauges know nothing of it
        std::uint32_t state_ = 0;
    };

    /// Any thread. Asserts that `state` is one.
    [[nodiscard]] Transitor enter(State state) noexcept;

private:
    std::shared_ptr<detail::StateTable> table_;
};

}  // namespace signalbox
