#include <exception>
#include <new>

#include "signalbox/log_sinks.hpp"

namespace signalbox {

bool LogSink::try_write(const wire::Event& event) noexcept {
    try {
        return write(event);
    } catch (const std::exception&) {
        return false;
    }
}

void LogSink::admit() noexcept {
    if (missing_ == 0) return;
    try {
        const bool one = missing_ == 1;
        const wire::Event note{
            .time = std::chrono::time_point_cast<wire::nanoseconds>(std::chrono::system_clock::now()),
            .severity = wire::Severity::warning,
            .name = "log_dropped",
            .text = std::to_string(missing_) + (one ? " event dropped" : " events dropped"),
            .fields = {{"events", static_cast<std::int64_t>(missing_)}}};
        if (try_write(note)) missing_ = 0;
    } catch (const std::bad_alloc&) {
        // Said the next time.
    }
}

void LogSink::put(const wire::Event& event) noexcept {
    admit();
    if (try_write(event)) return;
    ++missing_;
    ++failed_;
}

void LogSink::settle() noexcept {
    admit();
    try {
        flush();
    } catch (const std::exception&) {
        // What is buffered stays there until the next time.
    }
}

}  // namespace signalbox
