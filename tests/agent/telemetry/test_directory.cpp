// Registering instruments: found again, refused with reasons, safe against processes that die in the middle.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <cmath>
#include <cstring>
#include <functional>
#include <set>
#include <thread>

#include "agent/telemetry/quarantine.hpp"
#include "agent/telemetry/registration.hpp"
#include "agent/telemetry/seat.hpp"
#include "tests/agent/telemetry/totals.hpp"

using namespace signalbox;
using telemetry::EntryState;

Q_DECLARE_METATYPE(std::function<void(telemetry::DirectoryEntry&)>)

namespace {

EntryState state_of(Telemetry& telemetry, unsigned index) {
    return telemetry::state_of(telemetry.segment().entry(index).state);
}

std::vector<std::string> names(const telemetry::SegmentView& view) {
    std::vector<std::string> names;
    for (const wire::Instrument& instrument : telemetry::Collector(view).new_instruments())
        names.push_back(instrument.name);
    return names;
}

/// A page that calls `reached` when it is read first.
char* tripwire;
void (*reached)();

/// Registers a gauge whose help begins in the tripwire: when that is reached, the entry is claimed and has its
/// name. Ends the process.
[[noreturn]] void register_up_to_the_help(Telemetry& telemetry, const std::string& name, void (*then)()) {
    constexpr std::size_t kPage = 4096;
    tripwire = static_cast<char*>(mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    reached = then;
    struct sigaction action {};
    action.sa_handler = [](int) {
        reached();
        mprotect(tripwire, kPage, PROT_READ);
    };
    sigaction(SIGSEGV, &action, nullptr);
    Gauge(telemetry, name, std::string_view(tripwire, 1));
    _exit(0);
}

}  // namespace

class TestDirectory : public QObject {
    Q_OBJECT
private slots:
    void the_same_name_and_labels_are_one_instrument();
    void bad_names_and_kinds_are_refused_with_the_name();
    void a_full_directory_says_which_limit_to_raise();
    void a_failed_registration_leaves_its_place_to_the_next();
    void a_registration_that_fails_beside_others_leaves_no_hole();
    void registering_after_the_fork_agrees_between_processes();
    void a_process_that_is_killed_while_it_registers_blocks_nobody();
    void several_that_meet_a_dead_claimant_agree();
    void a_claim_is_known_to_be_of_a_dead_process();
    void a_process_that_is_stopped_while_it_registers_goes_on_behind_the_others();
    void damaged_entries_are_not_believed_data();
    void damaged_entries_are_not_believed();
};

void TestDirectory::the_same_name_and_labels_are_one_instrument() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    tests::occupy(telemetry, 0, 1);
    telemetry.attach(0);
    Counter a(telemetry, "letters_total", "Letters", {{"kind", "ham"}});
    Counter b(telemetry, "letters_total", "Letters", {{"kind", "ham"}});
    Counter c(telemetry, "letters_total", "Letters", {{"kind", "spam"}});
    a.add(1);
    b.add(2);
    c.add(4);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    telemetry::Collector collector(view);
    const auto instruments = collector.new_instruments();
    QCOMPARE(instruments.size(), 2u);
    QCOMPARE(instruments[1].labels.at(0).second, std::string("spam"));
    const wire::Tick tick = collector.collect();
    QCOMPARE(std::get<wire::CounterDelta>(tick.series.at(0).samples.at(0).value).increase, 3u);
}

void TestDirectory::bad_names_and_kinds_are_refused_with_the_name() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    const auto message = [](auto&& make) {
        try {
            make();
        } catch (const std::invalid_argument& error) {
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    Gauge taken(telemetry, "taken_total", "");
    QVERIFY(message([&] { Gauge(telemetry, "9lives", ""); }).find("9lives") != std::string::npos);
    QVERIFY(message([&] { Gauge(telemetry, "", ""); }) != "accepted");
    QVERIFY(message([&] { Counter(telemetry, "letters", ""); }).find("letters_total") != std::string::npos);
    const std::string other_kind = message([&] { Counter(telemetry, "taken_total", ""); });
    QVERIFY2(other_kind.find("as a gauge, at test_directory.cpp:") != std::string::npos, other_kind.c_str());
    const std::string other_merge = message([&] { Gauge(telemetry, "taken_total", "", Gauge::Merge::max); });
    QVERIFY2(other_merge.find("merged in another way") != std::string::npos, other_merge.c_str());
    Distribution sizes(telemetry, "sizes", "", "bytes");
    const std::string other_unit = message([&] { Distribution(telemetry, "sizes", "", "seconds"); });
    QVERIFY2(other_unit.find("in bytes") != std::string::npos, other_unit.c_str());
    QVERIFY(message([&] { SignedDistribution(telemetry, "sizes", "", "bytes"); }) != "accepted");
    QVERIFY(message([&] { Gauge(telemetry, std::string(200, 'a'), ""); }).find("at most 95") !=
            std::string::npos);
    QVERIFY(message([&] {
                Gauge(telemetry, "labelled", "", Gauge::Merge::sum, {{"a-b", "c"}});
            }).find("a-b") != std::string::npos);
    // Readers would take the value to end there, and the instrument would not be found again.
    QVERIFY(message([&] {
                Gauge(telemetry, "labelled", "", Gauge::Merge::sum, {{"a", std::string("b\0c", 3)}});
            }).find("control characters") != std::string::npos);
}

void TestDirectory::a_full_directory_says_which_limit_to_raise() {
    Telemetry telemetry({.group = "test", .max_workers = 1, .instruments = 2, .distributions = 1});
    Distribution first(telemetry, "first_bytes", "", "bytes");
    try {
        Distribution second(telemetry, "second_bytes", "", "bytes");
        QFAIL("accepted");
    } catch (const std::length_error& error) {
        QVERIFY(std::string(error.what()).find("TelemetryOptions::distributions") != std::string::npos);
    }
    Gauge second(telemetry, "second", "");
    try {
        Gauge third(telemetry, "third", "");
        QFAIL("accepted");
    } catch (const std::length_error& error) {
        QVERIFY(std::string(error.what()).find("TelemetryOptions::instruments") != std::string::npos);
    }
}

void TestDirectory::a_failed_registration_leaves_its_place_to_the_next() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    QVERIFY_EXCEPTION_THROWN(Gauge(telemetry, "boxes", std::string(500, 'x')), std::invalid_argument);
    Gauge boxes(telemetry, "boxes", "short");
    telemetry::SegmentView view(telemetry.segment().descriptor());
    QCOMPARE(view.entry(0)->instrument.help, std::string("short"));
}

void TestDirectory::a_registration_that_fails_beside_others_leaves_no_hole() {
    for (;;) {
        Telemetry telemetry({.group = "test", .max_workers = 1});
        // As if another process were about to find that there is no room for what it registers.
        telemetry.segment().entry(0).state.store(telemetry::Claim::of_this_process());
        const std::uint64_t start = telemetry::monotonic_ns();
        std::thread beside([&] { Gauge(telemetry, "beside", ""); });
        std::this_thread::sleep_for(std::chrono::milliseconds(10));  // most likely it waits by then
        telemetry.segment().entry(0).state.store(static_cast<std::uint64_t>(EntryState::vacant));
        const bool waited_for = telemetry::monotonic_ns() - start < 50'000'000;
        beside.join();
        if (!waited_for) continue;  // by no fault of its own it may have given up
        telemetry::SegmentView view(telemetry.segment().descriptor());
        QVERIFY(view.entry(0));
        QCOMPARE(view.entry(0)->instrument.name, std::string("beside"));
        QVERIFY(view.entry_is_vacant(1));
        return;
    }
}

void TestDirectory::registering_after_the_fork_agrees_between_processes() {
    Telemetry telemetry({.group = "test", .max_workers = 4});
    std::vector<pid_t> children;
    for (int child = 0; child < 8; ++child) {
        const pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 50; ++i)
                Counter(telemetry, "c" + std::to_string((i + child * 7) % 50) + "_total", "");
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = 0;
        waitpid(pid, &status, 0);
        QCOMPARE(status, 0);
    }
    telemetry::SegmentView view(telemetry.segment().descriptor());
    QCOMPARE(telemetry::Collector(view).new_instruments().size(), 50u);
}

void TestDirectory::a_process_that_is_killed_while_it_registers_blocks_nobody() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    Gauge before(telemetry, "before", "");
    const pid_t child = fork();
    if (child == 0) register_up_to_the_help(telemetry, "half", [] { raise(SIGKILL); });
    siginfo_t end{};
    waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT);  // its parent has not looked yet
    QCOMPARE(end.si_status, SIGKILL);
    QCOMPARE(state_of(telemetry, 1), EntryState::claimed);
    Gauge after(telemetry, "after", "");
    Gauge half(telemetry, "half", "");
    waitpid(child, nullptr, 0);

    QCOMPARE(state_of(telemetry, 1), EntryState::abandoned);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    QCOMPARE(names(view), (std::vector<std::string>{"before", "after", "half"}));
    QVERIFY(find_faults(view).empty());
}

void TestDirectory::several_that_meet_a_dead_claimant_agree() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    const pid_t killed = fork();
    if (killed == 0) register_up_to_the_help(telemetry, "half", [] { raise(SIGKILL); });
    waitpid(killed, nullptr, 0);
    std::vector<pid_t> children;
    for (int child = 0; child < 8; ++child) {
        const pid_t pid = fork();
        if (pid == 0) {
            Gauge half(telemetry, "half", "");
            Gauge own(telemetry, "own_" + std::to_string(child), "");
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = -1;
        waitpid(pid, &status, 0);
        QCOMPARE(status, 0);
    }
    QCOMPARE(state_of(telemetry, 0), EntryState::abandoned);
    QCOMPARE(state_of(telemetry, 9), EntryState::ready);
    QCOMPARE(state_of(telemetry, 10), EntryState::vacant);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    const auto all = names(view);
    QCOMPARE(std::set<std::string>(all.begin(), all.end()).size(), 9u);
    QVERIFY(find_faults(view).empty());
}

void TestDirectory::a_claim_is_known_to_be_of_a_dead_process() {
    using telemetry::Claim;
    const std::uint64_t ours = Claim::of_this_process();
    QVERIFY(!Claim::is_of_a_dead_process(ours));
    QVERIFY(Claim::is_of_a_dead_process(ours ^ std::uint64_t{1} << 30));  // started at another time
    int channel[2];
    QCOMPARE(pipe(channel), 0);
    const pid_t child = fork();
    if (child == 0) {
        const std::uint64_t claim = Claim::of_this_process();
        _exit(write(channel[1], &claim, sizeof claim) == sizeof claim ? 0 : 1);
    }
    std::uint64_t theirs = 0;
    QCOMPARE(read(channel[0], &theirs, sizeof theirs), ssize_t{sizeof theirs});
    close(channel[0]);
    close(channel[1]);
    QVERIFY(theirs != ours);
    siginfo_t end{};
    waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT);
    QVERIFY(Claim::is_of_a_dead_process(theirs));  // a zombie
    waitpid(child, nullptr, 0);
    QVERIFY(Claim::is_of_a_dead_process(theirs));  // gone
}

void TestDirectory::a_process_that_is_stopped_while_it_registers_goes_on_behind_the_others() {
    Telemetry telemetry({.group = "test", .max_workers = 1});
    const pid_t child = fork();
    if (child == 0) register_up_to_the_help(telemetry, "slow", [] { raise(SIGSTOP); });
    int status = 0;
    waitpid(child, &status, WUNTRACED);
    QVERIFY(WIFSTOPPED(status));
    Gauge after(telemetry, "after", "");
    QCOMPARE(state_of(telemetry, 0), EntryState::abandoned);
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    QCOMPARE(status, 0);
    telemetry::SegmentView view(telemetry.segment().descriptor());
    QCOMPARE(names(view), (std::vector<std::string>{"after", "slow"}));
    QVERIFY(find_faults(view).empty());
}

void TestDirectory::damaged_entries_are_not_believed_data() {
    using telemetry::DirectoryEntry;
    QTest::addColumn<std::function<void(DirectoryEntry&)>>("damage");
    const auto row = [](const char* name, std::function<void(DirectoryEntry&)> damage) {
        QTest::newRow(name) << damage;
    };
    row("kind", [](DirectoryEntry& e) { e.kind = 77; });
    row("aggregation", [](DirectoryEntry& e) { e.aggregation = 9; });
    row("head beyond the lane", [](DirectoryEntry& e) { e.head_offset = UINT32_MAX & ~63u; });
    row("head not aligned", [](DirectoryEntry& e) { e.head_offset = 4; });
    row("buckets beyond the lane", [](DirectoryEntry& e) { e.buckets_offset = UINT32_MAX & ~4095u; });
    row("buckets in the heads", [](DirectoryEntry& e) { e.buckets_offset = 0; });
    row("samples beyond the lane", [](DirectoryEntry& e) { e.samples_offset = UINT32_MAX & ~511u; });
    row("samples in the heads", [](DirectoryEntry& e) { e.samples_offset = 0; });
    row("shape", [](DirectoryEntry& e) { e.shape = 3; });
    row("no scale", [](DirectoryEntry& e) { e.ticks_per_unit = 0; });
    row("scale not a number", [](DirectoryEntry& e) { e.ticks_per_unit = std::nan(""); });
    row("name without an end", [](DirectoryEntry& e) { std::memset(e.name, 0xff, sizeof e.name); });
}

void TestDirectory::damaged_entries_are_not_believed() {
    QFETCH(std::function<void(telemetry::DirectoryEntry&)>, damage);
    Telemetry telemetry({.group = "test", .max_workers = 1});
    Distribution sizes(telemetry, "letter_bytes", "", "bytes");
    telemetry::SegmentView view(telemetry.segment().descriptor());
    QVERIFY(view.entry(0));
    damage(telemetry.segment().entry(0));
    QVERIFY(!view.entry(0));
    QVERIFY(telemetry::Collector(view).new_instruments().empty());
}

QTEST_GUILESS_MAIN(TestDirectory)
#include "test_directory.moc"
