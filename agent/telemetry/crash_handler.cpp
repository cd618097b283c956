#include "agent/telemetry/crash_handler.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "agent/telemetry/module_table.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/stack_walk.hpp"

namespace signalbox::telemetry {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;
constexpr std::array kSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

/// The seat's, of the process `crash_pid`. A handler gets no argument.
std::atomic<CrashRecord*> crash_record{nullptr};
std::atomic<const ActivityRecord*> crash_activity{nullptr};
std::atomic<pid_t> crash_pid{0};
std::atomic<bool> crash_begun{false};
std::atomic<bool> crash_noted{false};

void add_frame(CrashRecord& record, std::uint32_t& count, std::uint64_t address) {
    record.frames[count].store(address, relaxed);
    record.frame_count.store(++count, std::memory_order_release);
}

void copy(const ActivityRecord& from, ActivityRecord& to) {
    to.sequence.store(from.sequence.load(std::memory_order_acquire), relaxed);
    to.length.store(from.length.load(relaxed), relaxed);
    to.since_monotonic_ns.store(from.since_monotonic_ns.load(relaxed), relaxed);
    for (std::size_t i = 0; i < std::size(from.text); ++i)
        to.text[i].store(from.text[i].load(relaxed), relaxed);
}

void note(CrashRecord& record, int signal, const siginfo_t& info, ucontext_t& context) {
    record.sequence.store(1, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    record.tid.store(static_cast<std::uint32_t>(::syscall(SYS_gettid)), relaxed);
    record.signal.store(static_cast<std::uint32_t>(signal), relaxed);
    record.code.store(static_cast<std::uint32_t>(info.si_code), relaxed);
    // Of a signal that was sent, these bytes say by whom.
    const bool of_the_kernel = info.si_code > 0;
    record.address.store(of_the_kernel ? reinterpret_cast<std::uint64_t>(info.si_addr) : 0, relaxed);
    record.monotonic_ns.store(monotonic_ns(), relaxed);
    copy(*crash_activity.load(relaxed), record.activity);
    const std::uint64_t crashed_at = instruction_of(context);
    record.frames[0].store(crashed_at, relaxed);
    record.frame_count.store(1, relaxed);
    record.sequence.store(2, std::memory_order_release);

    struct Frames {
        CrashRecord* record;
        std::uint32_t count;
    } frames{&record, 1};
    walk_callers(
        context,
        [](void* found, std::uint64_t address) {
            Frames& all = *static_cast<Frames*>(found);
            add_frame(*all.record, all.count, address);
            return all.count < kCrashFrames;
        },
        &frames);
}

/// The thread that came first needs some microseconds.
void wait_for_the_other_thread() {
    for (int i = 0; i < 100 && !crash_noted.load(std::memory_order_acquire); ++i) {
        const timespec pause{0, 10'000'000};
        ::nanosleep(&pause, nullptr);
    }
}

void handle(int signal, siginfo_t* info, void* context) {
    const int error = errno;
    if (::getpid() == crash_pid.load(relaxed)) {
        if (!crash_begun.exchange(true)) {
            note(*crash_record.load(relaxed), signal, *info, *static_cast<ucontext_t*>(context));
            crash_noted.store(true, std::memory_order_release);
        } else {
            wait_for_the_other_thread();
        }
    }
    // Pending until the handler returns. SA_RESETHAND would have done this earlier, but a second thread that crashes
    // meanwhile would have ended the process in the middle of the record.
    ::signal(signal, SIG_DFL);
    const auto thread = ::syscall(SYS_gettid);
    if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, signal, info) != 0)
        ::syscall(SYS_tgkill, ::getpid(), thread, signal);
    errno = error;
}

void set_action(const struct sigaction& action) {
    for (const int signal : kSignals)
        ::sigaction(signal, &action, nullptr);
}

}  // namespace

CrashHandler::CrashHandler(Segment& segment, unsigned index) {
    CrashRecord& record = segment.crash(index);
    const Seat& seat = *segment.seat(index);
    record.sequence.store(0, relaxed);
    record.frame_count.store(0, relaxed);
    record.slot.store(index / 2, relaxed);
    record.pid.store(static_cast<std::uint32_t>(::getpid()), relaxed);
    record.generation.store(seat.generation.load(relaxed), relaxed);
    record.module_count.store(write_module_table(record.modules), relaxed);

    crash_record.store(&record, relaxed);
    crash_activity.store(&seat.activity, relaxed);
    crash_begun.store(false, relaxed);
    crash_noted.store(false, relaxed);
    crash_pid.store(::getpid(), std::memory_order_release);
    prepare_to_walk();

    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (const int signal : kSignals)
        sigaddset(&action.sa_mask, signal);
    set_action(action);
}

CrashHandler::~CrashHandler() {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    sigemptyset(&action.sa_mask);
    set_action(action);
    crash_pid.store(0, relaxed);
}

}  // namespace signalbox::telemetry
