// What a group is and how it is set up: named facts, settings, and tunables, which are settings that may be
// changed while it runs.
//
//     signalbox::Context context(telemetry);                             // before the first fork
//     context.describe_process();                                        // command line, host, limits …
//     context.fact("version", "1.4.2");
//     context.setting("listen", address, "command line");                // a value and where it came from
//     signalbox::Tunable<std::chrono::milliseconds> slow(
//         context, "slow_request_threshold", 250ms,
//         {.min = 1ms, .max = 60s, .help = "Requests that take longer are logged"});
//     ... fork ...
//     if (elapsed > slow.get()) log_request();                           // any thread, any worker
//
// They belong to the group, not to one process: a value changed through the agent ("signalboxctl set") holds
// in every worker at once, and in those that start later. Who changed it is in its origin and in an event.
#pragma once

#include <concepts>
#include <functional>
#include <source_location>
#include <string_view>
#include <utility>

#include "signalbox/detail/tunable.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox {

/// Where facts and settings are told. A small value: copy it freely; the Telemetry must outlive it.
///
/// Names are snake_case, up to 63 bytes. All clients of the agent can read the values, so secrets are taken
/// out: a value whose name looks like one (it contains SECRET, TOKEN, PASSWORD, PASSWD, KEY, CREDENTIAL, AUTH,
/// COOKIE, SESSION or PRIVATE, in any case) becomes "(redacted)", and so do passwords in URLs. Beyond 320 bytes
/// a value is cut. Functions throw std::invalid_argument (a bad name, or one that is taken by another kind: it
/// says where), and std::length_error when TelemetryOptions::settings are taken.
///
/// Told again in the process that made the Telemetry, or in the arbiter, a value replaces the one before; in
/// any other process the first one stays. One thread at a time.
class Context {
public:
    explicit Context(Telemetry& telemetry) : telemetry_(&telemetry) {}

    /// Something that is as it is: a version, a model's name.
    void fact(std::string_view name, std::string_view value,
              std::source_location where = std::source_location::current());

    /// Something that was chosen before the start. `origin`, up to 96 bytes, says where: "default", "code",
    /// "/etc/mailroom.conf:12", "command line", "environment".
    void setting(std::string_view name, std::string_view value, std::string_view origin,
                 std::source_location where = std::source_location::current());

    /// Facts of the calling process that its workers share: command line, executable, build id, host, kernel,
    /// limits, when it started, versions, and its environment ("environment.HOME"), as far as half of the
    /// table has room for that. Secrets are taken out, also of the command line ("--password=…", "--token …").
    void describe_process();

    Telemetry& telemetry() const { return *telemetry_; }

private:
    Telemetry* telemetry_;
};

template <class T>
struct TunableOptions {
    T min = detail::TunableCoding<T>::kDefaultMin;  ///< of durations and sizes zero, else the lowest
    T max = detail::TunableCoding<T>::kHighest;
    std::string_view unit{};              ///< of a plain number: "requests"; up to 15 bytes
    std::string_view help{};              ///< up to 135 bytes
    Role role = Role::operator_;          ///< who may change it
    std::string_view origin = "default";  ///< of the first value, as in Context::setting()
};

/// A setting that may be changed from outside while the group runs. `T` is bool, std::int64_t, double, Bytes,
/// or a std::chrono duration of whole nanoseconds or more.
///
/// A small value: copy it freely, use it after fork. The Telemetry must outlive it.
template <class T>
class Tunable {
    using Coding = detail::TunableCoding<T>;

public:
    /// Registers it, or finds the one of that name, which keeps its value. Before the fork, or later in any
    /// process. Throws std::invalid_argument (bad name; value outside its own range; registered already as
    /// something else, and where) or std::length_error (TelemetryOptions::settings are taken).
    Tunable(Context context, std::string_view name, T initial, TunableOptions<T> options = {},
            std::source_location where = std::source_location::current())
        : cell_(context, {.name = name,
                          .type = Coding::kType,
                          .initial = Coding::encode(initial),
                          .min = Coding::encode(options.min),
                          .max = Coding::encode(options.max),
                          .step = Coding::kStep,
                          .unit = options.unit,
                          .help = options.help,
                          .origin = options.origin,
                          .role = options.role,
                          .where = where}),
          min_(options.min),
          max_(options.max) {}

    /// A constant is a tunable that belongs to no group and never changes: for code that also runs without.
    template <std::convertible_to<T> Constant>
    Tunable(Constant constant) : min_(constant), max_(constant) {}

    /// The value now. Any thread; one relaxed load, and a comparison with the range, so that nothing that may
    /// happen to the shared memory makes it leave that.
    T get() const noexcept {
        const T value = Coding::decode(cell_.word());
        if (!(min_ <= value)) return min_;  // also what is not a number
        return value <= max_ ? value : max_;
    }

    /// From now on Telemetry::refresh() calls `changed` with the new value when there was a change since the
    /// call before: once for several quick ones, and in a process that was forked after a change once as well.
    /// Before forking, for all workers, or afterwards, for one; the thread that calls refresh(). What `changed`
    /// throws is swallowed.
    void on_change(Telemetry& telemetry, std::function<void(T)> changed) const {
        cell_.watch(telemetry, [tunable = *this, changed = std::move(changed)] { changed(tunable.get()); });
    }

private:
    detail::TunableCell cell_;
    T min_;
    T max_;
};

}  // namespace signalbox
