#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "agent/log/log_queue.hpp"
#include "agent/telemetry/event_source.hpp"
#include "agent/telemetry/fields.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/shielded_thread.hpp"
#include "signalbox/log_sinks.hpp"

namespace signalbox {
namespace {

using Clock = std::chrono::steady_clock;

/// How often a sink that owes something is tried again.
constexpr int kSettleEveryMilliseconds = 250;
/// After so many events sinks write what they have buffered, however many more there are.
constexpr int kBatch = 1000;
constexpr std::size_t kMaxQueue = 1 << 20;

std::size_t checked_queue(std::size_t events) {
    if (events < 2 || events > kMaxQueue)
        throw std::invalid_argument(
            fmt::format("LogWriterOptions::queue: {} events; give 2 to {}", events, kMaxQueue));
    return std::bit_ceil(events);
}

wire::Event readable(const telemetry::NewEvent& event) {
    const std::uint64_t age = telemetry::monotonic_ns() - event.monotonic_ns;
    return {.time = std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now()) -
                    wire::nanoseconds(static_cast<std::int64_t>(age)),
            .severity = event.severity,
            .generation = event.generation,
            .pid = event.pid,
            .name = std::string(event.name),
            .text = std::string(event.text),
            .kind = event.kind,
            .duration = wire::nanoseconds(event.duration_ns),
            .fields = telemetry::read_fields(event.fields),
            .cut = event.cut};
}

}  // namespace

/// What the callers, the thread and the writer share. Callers may still be in offer() when the writer has ended,
/// which is why it belongs to all of them.
struct LogWriter::State : telemetry::EventTap {
    State(Telemetry& telemetry, std::vector<std::unique_ptr<LogSink>> given, const LogWriterOptions& chosen)
        : source(telemetry.events()),
          sinks(std::move(given)),
          options(chosen),
          queue(checked_queue(chosen.queue)),
          queue_full(dropped_counter(telemetry, "queue_full")),
          sink_failed(dropped_counter(telemetry, "sink")) {
        for (const auto& sink : sinks)
            least = std::min(least, sink->least());
        if (wake_descriptor < 0)
            throw std::system_error(errno, std::generic_category(), "eventfd for the log writer");
    }
    ~State() override { ::close(wake_descriptor); }

    static Counter dropped_counter(Telemetry& telemetry, const char* reason) {
        return {telemetry, "log_dropped_total", "Events that did not reach a log sink", {{"reason", reason}}};
    }

    void offer(const telemetry::NewEvent& event) noexcept override {
        if (event.severity < least) return;
        if (!queue.push(event)) {
            dropped.fetch_add(1, std::memory_order_relaxed);
            queue_full.add();
        } else if (sleeping.load(std::memory_order_seq_cst) && sleeping.exchange(false)) {
            wake();
        }
    }
    /// Async-signal-safe.
    void wake() const noexcept {
        const int error = errno;
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(wake_descriptor, &one, sizeof one);
        errno = error;
    }

    void run() noexcept;
    bool drain() noexcept;
    void deliver(const telemetry::NewEvent& event) noexcept;
    void settle() noexcept;
    void sleep() noexcept;
    void give_up() noexcept;
    bool past_deadline() const { return stopping.load() && Clock::now() > deadline; }

    telemetry::EventSource& source;
    std::vector<std::unique_ptr<LogSink>> sinks;
    LogWriterOptions options;
    log::LogQueue queue;
    Counter queue_full;
    Counter sink_failed;
    wire::Severity least = wire::Severity::error;

    int wake_descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    std::atomic<bool> sleeping{false};
    std::atomic<bool> reopening{false};
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> dropped{0};  ///< because the queue was full, not yet told to the sinks
    Clock::time_point deadline;             ///< once stopping
    log::QueuedEvent next;                  ///< the thread's
    std::thread thread;
    pid_t process = ::getpid();
};

void LogWriter::State::run() noexcept {
    for (;;) {
        const bool last = stopping.load();
        if (reopening.exchange(false))
            for (const auto& sink : sinks)
                sink->reopen();
        const bool emptied = drain();
        settle();
        if (emptied && last) break;
        if (emptied) sleep();
    }
    give_up();
}

/// False: there is more.
bool LogWriter::State::drain() noexcept {
    for (int events = 0; events < kBatch; ++events) {
        if (past_deadline() || !queue.pop(next)) return true;
        deliver(next.event());
    }
    return false;
}

void LogWriter::State::deliver(const telemetry::NewEvent& event) noexcept {
    const std::uint64_t missing = dropped.exchange(0, std::memory_order_relaxed);
    for (const auto& sink : sinks) {
        sink->miss(missing);
        if (event.severity < sink->least()) continue;
        try {
            sink->put(readable(event));
        } catch (const std::bad_alloc&) {
            sink->miss(1);
            sink_failed.add();
        }
    }
}

void LogWriter::State::settle() noexcept {
    const std::uint64_t missing = dropped.exchange(0, std::memory_order_relaxed);
    for (const auto& sink : sinks) {
        sink->miss(missing);
        sink->settle();
        if (const std::uint64_t failed = sink->take_failed()) sink_failed.add(failed);
    }
}

void LogWriter::State::sleep() noexcept {
    sleeping.store(true, std::memory_order_seq_cst);
    if (queue.empty() && !stopping.load() && !reopening.load()) {
        pollfd awaited{wake_descriptor, POLLIN, 0};
        ::poll(&awaited, 1, kSettleEveryMilliseconds);
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t taken = ::read(wake_descriptor, &count, sizeof count);
    }
    sleeping.store(false, std::memory_order_relaxed);
}

void LogWriter::State::give_up() noexcept {
    while (queue.pop(next))
        queue_full.add();
    for (const auto& sink : sinks) {
        if (sink->waiting() == 0) continue;
        sink->reopen();  // the last chance, however short a time ago the one before was
        sink->settle();
        sink_failed.add(sink->waiting());
    }
}

LogWriter::LogWriter(Telemetry& telemetry, std::vector<std::unique_ptr<LogSink>> sinks,
                     LogWriterOptions options)
    : state_(std::make_shared<State>(telemetry, std::move(sinks), options)) {
    // SIGPIPE is shielded as well, and becomes an error of write().
    state_->thread = telemetry::start_shielded([state = state_.get()] { state->run(); });
    telemetry.events().set_tap(state_);
}

LogWriter::~LogWriter() {
    if (state_->process != ::getpid()) {  // a child of the process that has the thread
        state_->thread.detach();
        return;
    }
    state_->source.remove_tap(*state_);
    state_->deadline = Clock::now() + state_->options.flush_deadline;
    state_->stopping.store(true);
    state_->wake();
    state_->thread.join();
    state_->sinks.clear();
}

void LogWriter::reopen() noexcept {
    state_->reopening.store(true);
    state_->wake();
}

}  // namespace signalbox
