// A stack for signal handlers, so that a thread which has overflowed its own can still say so.
//
//     std::thread([] { const telemetry::AlternateStack stack; serve(); });
#pragma once

#include <signal.h>

#include <cstddef>

namespace signalbox::telemetry {

/// The calling thread's, as long as the object lives; to be destroyed by the same thread. Where there is no memory for
/// it, handlers run on the thread's own stack. Takes memory when it is used only.
class AlternateStack {
public:
    AlternateStack() noexcept;
    ~AlternateStack();
    AlternateStack(const AlternateStack&) = delete;
    AlternateStack& operator=(const AlternateStack&) = delete;

private:
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
    stack_t before_{};
};

}  // namespace signalbox::telemetry
