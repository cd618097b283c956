#include "signalbox/events.hpp"

#include <algorithm>
#include <exception>

#include "agent/telemetry/event_source.hpp"
#include "agent/telemetry/seat.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox {
namespace {

using telemetry::EventSource;
using telemetry::NewEvent;
using wire::EventKind;
using wire::Severity;

void write_event(EventSource& source, Severity severity, std::string_view name, std::string_view text,
                 Fields fields) noexcept {
    const detail::FieldBuffer buffer(fields);
    source.write(
        {.severity = severity, .name = name, .text = text, .fields = buffer.bytes(), .cut = buffer.cut()});
}

}  // namespace

EventLog::EventLog(Telemetry& telemetry) noexcept : source_(&telemetry.events()) {}

void EventLog::debug(std::string_view name, std::string_view text, Fields fields) const noexcept {
    write_event(*source_, Severity::debug, name, text, fields);
}
void EventLog::info(std::string_view name, std::string_view text, Fields fields) const noexcept {
    write_event(*source_, Severity::info, name, text, fields);
}
void EventLog::warning(std::string_view name, std::string_view text, Fields fields) const noexcept {
    write_event(*source_, Severity::warning, name, text, fields);
}
void EventLog::error(std::string_view name, std::string_view text, Fields fields) const noexcept {
    write_event(*source_, Severity::error, name, text, fields);
}

Action EventLog::action(std::string_view name, Fields fields) const noexcept {
    return {*source_, name, fields};
}

Action::Action(EventSource& source, std::string_view name, Fields fields) noexcept
    : source_(&source),
      start_ns_(telemetry::monotonic_ns()),
      id_(source.next_action()),
      exceptions_at_start_(std::uncaught_exceptions()),
      fields_(fields) {
    name = wire::utf8_prefix(name, name_.size());
    std::copy(name.begin(), name.end(), name_.begin());
    name_bytes_ = static_cast<std::uint8_t>(name.size());
    instruments_ = source.actions().find(name);
    source.write({.monotonic_ns = start_ns_,
                  .severity = Severity::debug,
                  .name = name,
                  .kind = EventKind::begin,
                  .action = id_,
                  .fields = fields_.bytes(),
                  .cut = fields_.cut()});
}

Action::~Action() {
    if (!ended_)
        end(std::uncaught_exceptions() > exceptions_at_start_ ? Outcome::exception : Outcome::success, {});
}

void Action::success() noexcept {
    end(Outcome::success, {});
}
void Action::failure(std::string_view reason) noexcept {
    end(Outcome::failure, reason);
}
void Action::exception(std::string_view what) noexcept {
    end(Outcome::exception, what);
}

void Action::end(Outcome outcome, std::string_view text) noexcept {
    if (ended_) return;
    ended_ = true;
    const std::uint64_t now = telemetry::monotonic_ns();
    NewEvent event{.monotonic_ns = now,
                   .name = {name_.data(), name_bytes_},
                   .text = text,
                   .action = id_,
                   .duration_ns = now - start_ns_,
                   .fields = fields_.bytes(),
                   .cut = fields_.cut()};
    const auto conclude = [&](EventKind kind, Severity severity,
                              Counter telemetry::ActionInstruments::*counter) {
        event.kind = kind;
        event.severity = severity;
        source_->write(event);
        if (!instruments_) return;
        instruments_->duration.record(std::chrono::nanoseconds(event.duration_ns));
        (instruments_->*counter).add();
    };
    switch (outcome) {
        case Outcome::success:
            return conclude(EventKind::success, Severity::debug, &telemetry::ActionInstruments::success);
        case Outcome::failure:
            return conclude(EventKind::failure, Severity::warning, &telemetry::ActionInstruments::failure);
        case Outcome::exception:
            return conclude(EventKind::exception, Severity::error, &telemetry::ActionInstruments::exception);
    }
}

}  // namespace signalbox
