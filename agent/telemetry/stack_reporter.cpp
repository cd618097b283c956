#include "agent/telemetry/stack_reporter.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <vector>

#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/stack_walk.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/// The seat of the process `reporting_pid`. A handler gets no argument.
std::atomic<Seat*> reporting_seat{nullptr};
std::atomic<pid_t> reporting_pid{0};

void answer(int, siginfo_t*, void* context_pointer) {
    const int error = errno;
    // Only the first thread has the event loop; and not in a child that it has forked.
    const pid_t pid = ::getpid();
    if (pid == reporting_pid.load(relaxed) && static_cast<pid_t>(::syscall(SYS_gettid)) == pid) {
        Seat& seat = *reporting_seat.load(relaxed);
        StackRecord& record = seat.stack;
        auto& context = *static_cast<ucontext_t*>(context_pointer);
        const std::uint64_t sequence = record.sequence.load(relaxed) | 1;
        record.sequence.store(sequence, relaxed);
        std::atomic_thread_fence(std::memory_order_release);
        record.heartbeat_monotonic_ns.store(seat.heartbeat_monotonic_ns.load(relaxed), relaxed);
        record.frames[0].store(instruction_of(context), relaxed);
        record.frame_count.store(1, relaxed);
        walk_callers(
            context,
            [](void* argument, std::uint64_t address) {
                StackRecord& found = *static_cast<StackRecord*>(argument);
                const std::uint64_t count = found.frame_count.load(relaxed);
                if (count >= kCrashFrames) return false;
                found.frames[count].store(address, relaxed);
                found.frame_count.store(count + 1, relaxed);
                return true;
            },
            &record);
        record.sequence.store(sequence + 1, std::memory_order_release);
    }
    errno = error;
}

}  // namespace

int stack_signal() {
    return SIGRTMIN + 4;
}

StackReporter::StackReporter(Segment& segment, unsigned seat) {
    reporting_seat.store(segment.seat(seat), relaxed);
    reporting_pid.store(::getpid(), std::memory_order_release);
    prepare_to_walk();
    struct sigaction action {};
    action.sa_sigaction = answer;
    // What the loop is at goes on where it was, if the kernel can do that.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
        sigdelset(&action.sa_mask, fault);
    ::sigaction(stack_signal(), &action, nullptr);
}

StackReporter::~StackReporter() {
    ::signal(stack_signal(), SIG_IGN);
    reporting_pid.store(0, relaxed);
}

bool ask_for_stack(pid_t pid) {
    return ::syscall(SYS_tgkill, pid, pid, stack_signal()) == 0;
}

bool end_with_stack(pid_t pid) {
    return ::syscall(SYS_tgkill, pid, pid, SIGABRT) == 0;
}

std::uint64_t stack_sequence(Segment& segment, unsigned seat) {
    return segment.seat(seat)->stack.sequence.load(std::memory_order_acquire);
}

std::optional<StuckStack> read_stack(Segment& segment, unsigned seat, std::uint64_t before) {
    const StackRecord& record = segment.seat(seat)->stack;
    const std::uint64_t sequence = record.sequence.load(std::memory_order_acquire);
    if (sequence == before || sequence % 2 != 0) return {};
    const std::vector<ModuleInfo> modules = read_modules(segment.crash(seat));
    std::vector<CrashFrame> frames;
    const std::uint64_t count = std::min<std::uint64_t>(record.frame_count.load(relaxed), kCrashFrames);
    for (std::uint64_t i = 0; i < count; ++i)
        frames.push_back(place_frame(record.frames[i].load(relaxed), i > 0, modules));
    StuckStack stack{record.heartbeat_monotonic_ns.load(relaxed), describe_frames(frames, modules, 8)};
    std::atomic_thread_fence(std::memory_order_acquire);
    if (record.sequence.load(relaxed) != sequence) return {};
    return stack;
}

}  // namespace signalbox::telemetry
