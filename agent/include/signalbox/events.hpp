// Structured events, and actions: what a process did, how it ended and how long it took, readable in its rings
// even after it was killed.
//
//     signalbox::EventLog log(telemetry);                               // before the first fork, or later
//     log.info("config_loaded", "Read 12 rules.", {{"path", path}, {"rules", 12}});
//     {
//         auto charge = log.action("charge", {{"customer", id}, {"amount", 12.5}});
//         charge.set("card", "visa");
//         if (!pay(id, 12.5)) charge.failure("declined");
//     }                                                                 // success, unless something was said
//
// Every action feeds two instruments, action_duration_seconds{action="charge"} and
// actions_total{action="charge",outcome="success"} (or failure, exception). So let names be few and fixed, and put
// what differs from one to the next into fields: beyond 64 names in a process they share action="other".
//
// Writing takes a clock read and a record in shared memory: no lock, no allocation, and no exception ever leaves.
// Failures, exceptions and events from info on go to a ring of 256 records that consoles show; begun and succeeded
// actions and debug events go to another, of 1024, where they do not wash away what matters. In a process that has
// not attached to a seat nothing is written there. For files and stderr see log_sinks.hpp.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "signalbox/detail/field_buffer.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox {

namespace telemetry {
class EventSource;
struct ActionInstruments;
}  // namespace telemetry

/// Something that takes time and ends well or not. Lives in the scope of what it describes, on any thread; not to
/// be used by two threads at once. About 700 bytes: it keeps its fields.
class [[nodiscard]] Action {
public:
    /// Ends it, if nothing has: with an exception if one passes through the scope, else with success.
    ~Action();
    Action(const Action&) = delete;
    Action& operator=(const Action&) = delete;

    /// Adds a field to what its end will say, or replaces the one of that name. 512 bytes of fields are kept.
    template <class T>
    void set(std::string_view name, const T& value) noexcept {
        fields_.set(Field(name, value));
    }

    /// These end it, at this moment: whatever is said later is ignored.
    void success() noexcept;
    /// `reason`: one sentence, for people. Counts as severity warning.
    void failure(std::string_view reason) noexcept;
    /// For one that was caught within the scope; `what` is its text. Counts as severity error.
    void exception(std::string_view what) noexcept;

private:
    friend class EventLog;
    Action(telemetry::EventSource& source, std::string_view name, Fields fields) noexcept;
    enum class Outcome : std::uint8_t { success, failure, exception };
    void end(Outcome outcome, std::string_view text) noexcept;

    telemetry::EventSource* source_;
    telemetry::ActionInstruments* instruments_;
    std::uint64_t start_ns_;
    std::uint32_t id_;
    int exceptions_at_start_;
    bool ended_ = false;
    std::uint8_t name_bytes_;
    std::array<char, 64> name_;
    detail::FieldBuffer fields_;
};

/// A handle as small as a pointer: copy it freely, use it from any thread, as long as `telemetry` lives. Names
/// are snake_case and at most 64 bytes, texts one sentence for people. A record takes 336 bytes of name, text and
/// fields; what does not fit is cut, and marked so.
class EventLog {
public:
    explicit EventLog(Telemetry& telemetry) noexcept;

    void debug(std::string_view name, std::string_view text, Fields fields = {}) const noexcept;
    void info(std::string_view name, std::string_view text, Fields fields = {}) const noexcept;
    void warning(std::string_view name, std::string_view text, Fields fields = {}) const noexcept;
    void error(std::string_view name, std::string_view text, Fields fields = {}) const noexcept;

    /// Begins an action. The first use of a name registers its instruments, which takes microseconds.
    Action action(std::string_view name, Fields fields = {}) const noexcept;

private:
    telemetry::EventSource* source_;
};

}  // namespace signalbox
