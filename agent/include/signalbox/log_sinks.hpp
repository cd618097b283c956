// Where the events of a process go beside its rings: stderr, files, or sinks of your own.
//
//     std::vector<std::unique_ptr<signalbox::LogSink>> sinks;
//     sinks.push_back(std::make_unique<signalbox::StderrSink>());
//     sinks.push_back(std::make_unique<signalbox::JsonLinesSink>(
//         signalbox::JsonLinesOptions{.path = "/var/log/mailroom/worker-3.jsonl"}));
//     signalbox::LogWriter writer(telemetry, std::move(sinks));          // in the process that logs, after fork
//     log.info("config_loaded", "Read 12 rules.", {{"rules", 12}});      // into the ring, and to both sinks
//
// A LogWriter has one thread, which alone touches the sinks. Callers put events into a bounded queue and never wait:
// when the queue is full, or a sink cannot write, events are dropped, counted in
// log_dropped_total{reason="queue_full"} or {reason="sink"}, and each sink says how many are missing as soon as it
// can write again.
//
// A thread does not survive fork(): start the writer after it, in each process that logs. A child that attaches to
// a seat of its own leaves the writer of its parent alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/wire/event.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox {

/// Takes events one after the other, on the writer's thread. To make one, override write().
class LogSink {
public:
    /// `least`: events below this severity are not for it. Actions that begin or succeed are of severity debug.
    explicit LogSink(wire::Severity least) : least_(least) {}
    virtual ~LogSink() = default;
    LogSink(const LogSink&) = delete;
    LogSink& operator=(const LogSink&) = delete;

    wire::Severity least() const { return least_; }

    /// Says first how many events are missing, if any are. Never throws.
    void put(const wire::Event& event) noexcept;
    /// These were dropped before they came here.
    void miss(std::uint64_t events) { missing_ += events; }
    /// Says how many are missing, if any are and it can; writes what is buffered.
    void settle() noexcept;
    /// How many events it could not write since the last call.
    std::uint64_t take_failed() { return std::exchange(failed_, 0); }
    /// How many it still has in a buffer, its own about what is missing included.
    virtual std::uint64_t waiting() const { return 0; }

    /// Closes and opens its file again, whose name may have been given to another meanwhile.
    virtual void reopen() {}

protected:
    /// False: it could not, and the event is lost. Should not take longer than some 100 ms, or the deadline of the
    /// writer's end cannot be kept; an exception counts as false.
    virtual bool write(const wire::Event& event) = 0;
    virtual void flush() {}

private:
    bool try_write(const wire::Event& event) noexcept;
    void admit() noexcept;

    wire::Severity least_;
    std::uint64_t missing_ = 0;  ///< since it last said so
    std::uint64_t failed_ = 0;
};

struct StderrOptions {
    enum class Colour { automatic, never, always };  ///< automatic: on a terminal, unless NO_COLOR is set

    wire::Severity least = wire::Severity::info;
    Colour colour = Colour::automatic;
    int descriptor = 2;
};

/// Lines for people: "2026-07-07 09:30:00.250 warning [4242] charge failed after 12.3 ms: declined
/// (customer=c17)". Local time; what is not UTF-8, or could harm a terminal, is escaped. One line is one write, as
/// long as it is short enough; if a pipe or terminal is not ready for it within 100 ms, the line is dropped.
class StderrSink : public LogSink {
public:
    explicit StderrSink(StderrOptions options = {});

protected:
    bool write(const wire::Event& event) override;

private:
    bool write_bytes(std::string_view bytes);

    int descriptor_;
    bool coloured_;
    bool patient_ = true;    ///< it could write the last time
    bool mid_line_ = false;  ///< it could write only a part of a line
};

struct JsonLinesOptions {
    std::string path{};
    wire::Severity least = wire::Severity::info;
    std::uint64_t rotate_at_bytes = 64 << 20;  ///< a file that would grow beyond is rotated; 0: never
    unsigned keep = 5;                         ///< rotated files: path.1 is the newest, path.5 the oldest
    std::uint64_t buffer_bytes = 256 << 10;    ///< what waits for a disk that is full; more is dropped
};

/// One JSON object a line: time (RFC 3339, UTC, µs), severity, name, text, kind, duration_seconds, fields, cut,
/// pid, generation.
///
/// A file that cannot be opened or written is tried again every second, and what has been logged meanwhile waits
/// in the buffer. Several processes may write to one path: lines stay whole, and one of them rotates. A file that
/// others rotate or delete is noticed at the next write; LogWriter::reopen() lets go of it at once.
class JsonLinesSink : public LogSink {
public:
    /// The file is opened when there is something to write.
    explicit JsonLinesSink(JsonLinesOptions options);
    ~JsonLinesSink() override;
    void reopen() override;
    std::uint64_t waiting() const override;

protected:
    bool write(const wire::Event& event) override;
    void flush() override;

private:
    struct File;
    std::unique_ptr<File> file_;
};

struct LogWriterOptions {
    std::size_t queue = 1024;                         ///< events, 2 … 2^20; rounded up to a power of two
    std::chrono::milliseconds flush_deadline{2'000};  ///< what the end of the writer may take
};

/// The thread between a process' events and its sinks. One per process; a second one takes the first one's place.
class LogWriter {
public:
    /// Starts the thread. Throws std::invalid_argument (a queue of another size), std::length_error (no room for
    /// log_dropped_total) or std::system_error (no thread, no descriptor).
    LogWriter(Telemetry& telemetry, std::vector<std::unique_ptr<LogSink>> sinks,
              LogWriterOptions options = {});
    /// Writes what waits, within the deadline; the rest counts as dropped.
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    /// Makes every sink reopen its file, soon. Any thread, and from a signal handler:
    ///
    ///     std::signal(SIGUSR1, [](int) { writer->reopen(); });
    void reopen() noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace signalbox
