// What a process that crashes leaves behind: by each signal, from where it can be hard to say anything.
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <csignal>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "agent/telemetry/crash_handler.hpp"
#include "agent/telemetry/crash_record.hpp"
#include "agent/telemetry/retire.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/view.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;

namespace {

constexpr unsigned kSeat = 2;
constexpr std::uint64_t kGeneration = 7;

// The guilty ones, of whom no sanitizer tells. Whatever follows the fault keeps it from being the last instruction.
volatile int sink = 0;

[[gnu::noinline, gnu::no_sanitize("address")]] void write_nowhere() {
    volatile char* volatile nowhere = reinterpret_cast<char*>(0xdead);
    *nowhere = 1;
    sink = 1;
}

[[gnu::noinline, gnu::no_sanitize("address")]] void divide() {
#if defined(__x86_64__)
    asm volatile("xor %%eax, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx; idiv %%ecx" ::
                     : "eax", "ecx", "edx", "cc");
#else
    std::raise(SIGFPE);
#endif
    sink = 1;
}

[[gnu::noinline, gnu::no_sanitize("address")]] void run_nonsense() {
#if defined(__x86_64__)
    asm volatile("ud2");
#else
    std::raise(SIGILL);
#endif
    sink = 1;
}

[[gnu::noinline, gnu::no_sanitize("address")]] void hit_breakpoint() {
#if defined(__x86_64__)
    asm volatile("int3");
#else
    std::raise(SIGTRAP);
#endif
    sink = 1;
}

[[gnu::noinline, gnu::no_sanitize("address")]] void read_behind_the_file() {
    const int file = ::memfd_create("short", MFD_CLOEXEC);
    void* memory = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
    sink = *static_cast<volatile char*>(memory);
    sink = 1;
}

[[gnu::noinline, gnu::no_sanitize("address")]] void give_up() {
    std::abort();
}

[[gnu::noinline, gnu::no_sanitize("address")]] void give_up_in_a_thread() {
    std::thread(give_up).join();
}

[[gnu::noinline, gnu::no_sanitize("address")]] int overflow(int depth) {
    volatile char waste[4096];
    waste[0] = static_cast<char>(depth);
    return depth < 0 ? 0 : overflow(depth + 1) + waste[0];
}

[[gnu::noinline, gnu::no_sanitize("address")]] void overflow_the_stack() {
    sink = overflow(0);
}

[[gnu::noinline, gnu::no_sanitize("address")]] void overflow_the_stack_of_a_thread() {
    std::thread([] {
        const AlternateStack stack;
        sink = overflow(0);
    }).join();
}

[[gnu::noinline, gnu::no_sanitize("address")]] void call_nothing() {
    void (*volatile nothing)() = nullptr;
    nothing();
    sink = 1;
}

/// The unwinder follows it into memory that is not there.
[[gnu::noinline, gnu::no_sanitize("address")]] void scribble_over_the_own_stack() {
    char small[16];
    volatile char* volatile at = small;
    for (int i = 0; i < 3000; ++i)
        at[i] = 0x11;
}

std::uint64_t place(void (*function)()) {
    return reinterpret_cast<std::uint64_t>(function);
}

bool names(const CrashInfo& crash, std::uint64_t function) {
    constexpr std::uint64_t kLongest = 512;
    return std::any_of(crash.frames.begin(), crash.frames.end(), [function](const CrashFrame& frame) {
        return frame.address >= function && frame.address < function + kLongest;
    });
}

class Fixture {
public:
    Fixture() : telemetry_({.group = "crashing", .max_workers = 2}) {}

    Segment& segment() { return telemetry_.segment(); }

    /// Runs `body` in a child that has the seat; its wait status.
    int run(const std::function<void()>& body) {
        tests::occupy(telemetry_, kSeat, kGeneration, static_cast<std::uint32_t>(::getpid()));
        child_ = ::fork();
        if (child_ == 0) {
            const rlimit no_core{0, 0};
            ::setrlimit(RLIMIT_CORE, &no_core);
            for (int signal = 1; signal < NSIG; ++signal)  // the test's and the sanitizers' handlers
                if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
            ::alarm(60);
            const CrashHandler handler(segment(), kSeat);
            SeatWriter writer(segment(), kSeat);
            writer.begin_activity("POST /misbehave/crash from 192.0.2.1");
            body();
            ::_exit(0);
        }
        int status = 0;
        ::waitpid(child_, &status, 0);
        return status;
    }
    pid_t child() const { return child_; }

    std::vector<CrashInfo> crashes() { return SegmentView(segment().descriptor()).crashes(); }

private:
    Telemetry telemetry_;
    pid_t child_ = 0;
};

}  // namespace

class TestCrashRecord : public QObject {
    Q_OBJECT
private slots:
    void every_signal_leaves_a_record_and_ends_the_process_as_ever_data();
    void every_signal_leaves_a_record_and_ends_the_process_as_ever();
    void a_process_that_ends_well_leaves_none();
    void a_crash_in_the_handler_ends_the_process_and_keeps_what_is_known();
    void two_threads_that_crash_at_once_leave_one_record();
    void a_child_of_the_worker_writes_nothing();
    void the_record_outlives_the_seat();
    void the_last_eight_are_kept();
    void half_written_records_are_skipped();
    void random_records_do_no_harm();
};

void TestCrashRecord::every_signal_leaves_a_record_and_ends_the_process_as_ever_data() {
    QTest::addColumn<quintptr>("function");
    QTest::addColumn<int>("signal");
    QTest::addColumn<quint64>("address");
    QTest::addColumn<bool>("named");
    const auto row = [](const char* name, void (*function)(), int signal, quint64 address = 0,
                        bool named = true) {
        QTest::newRow(name) << reinterpret_cast<quintptr>(function) << signal << address << named;
    };
    row("bad address", write_nowhere, SIGSEGV, 0xdead);
    row("division by zero", divide, SIGFPE);
    row("bad instruction", run_nonsense, SIGILL);
    row("breakpoint", hit_breakpoint, SIGTRAP);
    row("behind the end of a file", read_behind_the_file, SIGBUS);
    row("abort", give_up, SIGABRT);
    row("abort in a thread", give_up_in_a_thread, SIGABRT, 0, false);
    row("call of a null pointer", call_nothing, SIGSEGV);
#if !defined(__SANITIZE_THREAD__)  // which gives threads stacks of its own making
    row("stack overflow", overflow_the_stack, SIGSEGV, 0, false);
    row("stack overflow of a thread", overflow_the_stack_of_a_thread, SIGSEGV, 0, false);
#endif
}

void TestCrashRecord::every_signal_leaves_a_record_and_ends_the_process_as_ever() {
    QFETCH(quintptr, function);
    QFETCH(int, signal);
    QFETCH(quint64, address);
    QFETCH(bool, named);
    Fixture fixture;
    const int status = fixture.run(reinterpret_cast<void (*)()>(function));
    QVERIFY(WIFSIGNALED(status));
    QCOMPARE(WTERMSIG(status), signal);

    const auto crashes = fixture.crashes();
    QCOMPARE(crashes.size(), 1u);
    const CrashInfo& crash = crashes[0];
    QCOMPARE(crash.signal, signal);
    QCOMPARE(crash.slot, kSeat / 2);
    QCOMPARE(crash.generation, kGeneration);
    QCOMPARE(static_cast<pid_t>(crash.pid), fixture.child());
    QVERIFY(crash.monotonic_ns <= monotonic_ns());
    QCOMPARE(crash.activity, std::string("POST /misbehave/crash from 192.0.2.1"));
    if (address != 0) QCOMPARE(crash.address, address);
    QVERIFY(crash.frames.size() >= 2);
    QVERIFY(crash.modules.size() > 2);
    QCOMPARE(crash.modules[0].name(), std::string("test_telemetry_crash_record"));
    QVERIFY(crash.modules[0].has_build_id());
    if (named) QVERIFY2(names(crash, function), describe(crash, 10).c_str());
    if (signal != SIGABRT && crash.address != crash.frames[0].address)
        QCOMPARE(crash.frames[0].module, std::size_t{0});
    const auto guilty = QString::fromLocal8Bit(QTest::currentDataTag()).startsWith("abort in")
                            ? place(give_up)
                            : reinterpret_cast<std::uint64_t>(&overflow);
    if (!named) QVERIFY2(names(crash, guilty), describe(crash, 10).c_str());
}

void TestCrashRecord::a_process_that_ends_well_leaves_none() {
    Fixture fixture;
    QCOMPARE(fixture.run([] {}), 0);
    QCOMPARE(fixture.crashes().size(), 0u);
    QVERIFY(!keep_crash(fixture.segment(), kSeat, kGeneration));
}

void TestCrashRecord::a_crash_in_the_handler_ends_the_process_and_keeps_what_is_known() {
    Fixture fixture;
    // The record is not writable any more: the handler's first store crashes, too.
    Segment& segment = fixture.segment();
    QCOMPARE(WTERMSIG(fixture.run([&segment] {
                 ::mprotect(&segment.crash(kSeat), kPage, PROT_READ);
                 give_up();
             })),
             SIGSEGV);
    QCOMPARE(fixture.crashes().size(), 0u);

    // The unwinder is led astray: it stops, or crashes.
    const int status = fixture.run(scribble_over_the_own_stack);
    QVERIFY(WIFSIGNALED(status));
    const auto crashes = fixture.crashes();
    QCOMPARE(crashes.size(), 1u);
    QVERIFY(crashes[0].frames.size() >= 1);
}

void TestCrashRecord::two_threads_that_crash_at_once_leave_one_record() {
    Fixture fixture;
    for (int round = 0; round < 10; ++round) {
        const int status = fixture.run([] {
            std::atomic<int> ready{0};
            const auto crash = [&ready](void (*how)()) {
                ++ready;
                while (ready < 2) {
                }
                how();
            };
            std::thread other(crash, write_nowhere);
            crash(run_nonsense);
            other.join();
        });
        QVERIFY(WIFSIGNALED(status));
        const auto crashes = fixture.crashes();
        QCOMPARE(crashes.size(), 1u);
        QVERIFY(crashes[0].signal == SIGSEGV || crashes[0].signal == SIGILL);
    }
}

void TestCrashRecord::a_child_of_the_worker_writes_nothing() {
    Fixture fixture;
    QCOMPARE(fixture.run([] {
        const pid_t grandchild = ::fork();
        if (grandchild == 0) write_nowhere();
        int status = 0;
        ::waitpid(grandchild, &status, 0);
        ::_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 1);
    }),
             0);
    QCOMPARE(fixture.crashes().size(), 0u);
}

void TestCrashRecord::the_record_outlives_the_seat() {
    Fixture fixture;
    fixture.run(write_nowhere);
    const auto kept = keep_crash(fixture.segment(), kSeat, kGeneration);
    QVERIFY(kept);
    retire_seat(fixture.segment(), kSeat);
    const auto crashes = fixture.crashes();
    QCOMPARE(crashes.size(), 1u);
    QCOMPARE(crashes[0].frames.size(), kept->frames.size());
    QCOMPARE(crashes[0].activity, std::string("POST /misbehave/crash from 192.0.2.1"));
    QVERIFY(describe(crashes[0]).starts_with("SIGSEGV at 0xdead: test_telemetry_crash_record+0x"));
    // Another generation in the same seat has not crashed.
    QVERIFY(!keep_crash(fixture.segment(), kSeat, kGeneration + 1));
}

void TestCrashRecord::the_last_eight_are_kept() {
    Fixture fixture;
    fixture.run(write_nowhere);
    for (std::uint64_t generation = 1; generation <= 2 * kKeptCrashes + 3; ++generation) {
        CrashRecord& record = fixture.segment().crash(kSeat);
        record.generation = generation;
        record.monotonic_ns = generation;
        record.sequence = 2;
        QVERIFY(keep_crash(fixture.segment(), kSeat, generation));
    }
    const auto crashes = fixture.crashes();
    QCOMPARE(crashes.size(), kKeptCrashes);
    for (std::size_t i = 0; i < crashes.size(); ++i)
        QCOMPARE(crashes[i].generation, kKeptCrashes + 4 + i);
}

void TestCrashRecord::half_written_records_are_skipped() {
    Fixture fixture;
    fixture.run(write_nowhere);
    fixture.segment().crash(kSeat).sequence = 1;
    QCOMPARE(fixture.crashes().size(), 0u);
    QVERIFY(!keep_crash(fixture.segment(), kSeat, kGeneration));
    fixture.segment().crash(kSeat).sequence = 2;
    fixture.segment().crash(kSeat).activity.sequence = 1;
    QCOMPARE(fixture.crashes().size(), 1u);
    QCOMPARE(fixture.crashes()[0].activity, std::string());
}

void TestCrashRecord::random_records_do_no_harm() {
    Fixture fixture;
    std::mt19937_64 random(1);
    for (int round = 0; round < 2000; ++round) {
        auto* words = reinterpret_cast<std::uint64_t*>(&fixture.segment().crash(kSeat));
        for (std::size_t i = 0; i < sizeof(CrashRecord) / 8; ++i)
            words[i] = random();
        // Some fields are sound, so that the others are looked at.
        CrashRecord& record = fixture.segment().crash(kSeat);
        record.sequence = 2;
        record.monotonic_ns = 1;
        if (round % 2 == 0) {
            record.slot = 1;
            record.generation = 1 + random() % 5;
            record.pid = record.tid = 77;
            record.signal = 1 + random() % 64;
            record.module_count = random() % (kCrashModules + 2);
            record.frame_count = random() % (kCrashFrames + 2);
        }
        for (const CrashInfo& crash : fixture.crashes()) {
            QVERIFY(crash.frames.size() <= kCrashFrames);
            QVERIFY(crash.modules.size() <= kCrashModules);
            for (const char c : describe(crash, kCrashFrames))
                QVERIFY(c >= 0x20 || c < 0);
        }
        keep_crash(fixture.segment(), kSeat, 1 + random() % 5);
    }
}

QTEST_GUILESS_MAIN(TestCrashRecord)
#include "test_crash_record.moc"
