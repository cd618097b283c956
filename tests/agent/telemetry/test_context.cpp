// Facts, settings and tunables: told, read back, changed, and not believed when damaged.
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QtTest>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "agent/telemetry/registration.hpp"
#include "agent/telemetry/settings.hpp"
#include "agent/telemetry/view.hpp"
#include "signalbox/context.hpp"

using namespace signalbox;
using namespace signalbox::telemetry;
using namespace std::chrono_literals;
using detail::SettingType;
using std::chrono::milliseconds;

Q_DECLARE_METATYPE(std::function<void(SettingEntry&)>)

namespace {

struct Fixture {
    explicit Fixture(unsigned settings = 512) : telemetry({.group = "test", .settings = settings}) {}
    Telemetry telemetry;
    Context context{telemetry};
    SegmentView view{telemetry.segment().descriptor()};

    /// Empty if there is none of that name.
    Setting find(const std::string& name) const {
        for (Setting& setting : view.settings())
            if (setting.name == name) return std::move(setting);
        return {};
    }
    std::string value(const std::string& name) const {
        const Setting setting = find(name);
        return setting.value ? setting.value->text : "missing";
    }
    Change set(const std::string& name, std::uint64_t word) {
        const Setting setting = find(name);
        return change_tunable(telemetry.segment(), setting.index, setting.type, word, "operator alice");
    }
    Change set(const std::string& name, std::chrono::nanoseconds value) {
        return set(name, static_cast<std::uint64_t>(value.count()));
    }
};

std::string message(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "accepted";
}

#define VERIFY_CONTAINS(text, part)                                     \
    do {                                                                \
        const std::string whole = text;                                 \
        QVERIFY2(whole.find(part) != std::string::npos, whole.c_str()); \
    } while (false)

}  // namespace

class TestContext : public QObject {
    Q_OBJECT
private slots:
    void what_is_told_is_read_back();
    void a_later_value_replaces_the_one_before();
    void tunables_of_every_type_are_shown_and_changed();
    void names_and_kinds_are_refused_with_what_would_be_right();
    void a_full_table_says_which_limit_to_raise();
    void long_and_broken_text_is_cut_and_repaired();
    void secrets_are_not_told();
    void a_change_out_of_range_is_refused_and_changes_nothing();
    void a_constant_is_a_tunable_without_a_group();
    void refresh_tells_of_changes_and_swallows_what_is_thrown();
    void a_forked_child_sees_a_change();
    void workers_register_the_same_without_changing_it();
    void a_dead_claimant_blocks_nobody();
    void nothing_read_while_it_is_rewritten_is_torn();
    void damaged_entries_are_not_believed_data();
    void damaged_entries_are_not_believed();
    void damaged_values_are_missing_and_get_stays_in_range();
    void random_damage_never_leads_astray();
    void a_process_describes_itself_without_its_secrets();
    void a_large_environment_leaves_room_for_settings();
};

void TestContext::what_is_told_is_read_back() {
    Fixture f;
    f.context.fact("version", "1.4.2");
    f.context.setting("listen", "127.0.0.1:8080", "/etc/mailroom.conf:12");
    const auto settings = f.view.settings();
    QCOMPARE(settings.size(), 2u);
    QCOMPARE(settings[0].name, std::string("version"));
    QCOMPARE(settings[0].kind, SettingKind::fact);
    QCOMPARE(settings[0].value->text, std::string("1.4.2"));
    QCOMPARE(settings[1].kind, SettingKind::setting);
    QCOMPARE(settings[1].value->text, std::string("127.0.0.1:8080"));
    QCOMPARE(settings[1].value->origin, std::string("/etc/mailroom.conf:12"));
    QCOMPARE(settings[1].value->version, 0u);
    VERIFY_CONTAINS(settings[1].defined_at, "test_context.cpp:");
}

void TestContext::a_later_value_replaces_the_one_before() {
    Fixture f;
    f.context.setting("listen", "127.0.0.1:8080", "default");
    f.context.setting("listen", "0.0.0.0:80", "command line");
    QCOMPARE(f.view.settings().size(), 1u);
    QCOMPARE(f.find("listen").value->text, std::string("0.0.0.0:80"));
    QCOMPARE(f.find("listen").value->origin, std::string("command line"));
    QCOMPARE(f.find("listen").value->version, 1u);
    f.context.setting("listen", "0.0.0.0:80", "command line");
    QCOMPARE(f.find("listen").value->version, 1u);  // no change
}

void TestContext::tunables_of_every_type_are_shown_and_changed() {
    Fixture f;
    Tunable<milliseconds> slow(f.context, "slow", 250ms,
                               {.min = 1ms, .max = 60s, .help = "Requests that take longer"});
    Tunable<bool> verbose(f.context, "verbose", false);
    Tunable<std::int64_t> depth(f.context, "depth", -3, {.min = -5, .max = 5, .unit = "letters"});
    Tunable<double> share(f.context, "share", 0.5, {.min = 0, .max = 1, .role = Role::viewer});
    Tunable<Bytes> limit(f.context, "limit", 64_MiB, {.max = 1024_MiB, .origin = "command line"});
    Tunable<std::chrono::hours> patience(f.context, "patience", 5h);

    const Setting shown = f.find("slow");
    QCOMPARE(shown.kind, SettingKind::tunable);
    QCOMPARE(shown.type, SettingType::duration);
    QCOMPARE(shown.value->text, std::string("250ms"));
    QCOMPARE(shown.value->origin, std::string("default"));
    QCOMPARE(shown.help, std::string("Requests that take longer"));
    QVERIFY(shown.role == Role::operator_ && f.find("share").role == Role::viewer);
    QCOMPARE(f.find("depth").unit, std::string("letters"));
    QCOMPARE(f.find("limit").value->origin, std::string("command line"));
    QCOMPARE(f.value("limit"), std::string("64MiB"));
    QCOMPARE(f.value("patience"), std::string("5h"));

    const Change change = f.set("slow", 1500ms);
    QCOMPARE(change.refusal, std::string());
    QCOMPARE(change.from, std::string("250ms"));
    QCOMPARE(change.to, std::string("1.5s"));
    QVERIFY(slow.get() == 1500ms);
    QCOMPARE(f.find("slow").value->text, std::string("1.5s"));
    QCOMPARE(f.find("slow").value->origin, std::string("operator alice"));
    QCOMPARE(f.find("slow").value->version, 1u);
    f.set("verbose", 1);
    QVERIFY(verbose.get());
    f.set("depth", static_cast<std::uint64_t>(-5));
    QCOMPARE(depth.get(), -5);
    f.set("share", std::bit_cast<std::uint64_t>(0.25));
    QCOMPARE(share.get(), 0.25);
    f.set("limit", std::uint64_t{1} << 30);
    QVERIFY(limit.get() == 1024_MiB);
    f.set("patience", 48h);
    QVERIFY(patience.get() == 48h);

    // Found again, it keeps the value it has now.
    Tunable<milliseconds> again(f.context, "slow", 250ms, {.min = 1ms, .max = 60s});
    QVERIFY(again.get() == 1500ms);
}

void TestContext::names_and_kinds_are_refused_with_what_would_be_right() {
    Fixture f;
    f.context.fact("version", "1");
    Tunable<milliseconds> slow(f.context, "slow", 250ms, {.min = 1ms, .max = 60s});
    for (const char* name :
         {"", "Slow", "9lives", "_slow", "slow-request", "slow request", "listen.0", "l\xc3\xa4nge"})
        VERIFY_CONTAINS(message([&] { f.context.fact(name, ""); }), "use a to z, digits and _");
    VERIFY_CONTAINS(message([&] { f.context.fact(std::string(64, 'a'), ""); }), "at most 63");
    VERIFY_CONTAINS(message([&] { f.context.setting("version", "2", "code"); }),
                    "as a fact, at test_context.cpp:");
    VERIFY_CONTAINS(message([&] { f.context.fact("slow", "2"); }), "as a tunable, at test_context.cpp:");
    VERIFY_CONTAINS(message([&] { Tunable<bool>(f.context, "slow", true); }),
                    "of type duration, at test_context");
    VERIFY_CONTAINS(message([&] { Tunable<milliseconds>(f.context, "slow", 2ms, {.max = 1s}); }),
                    "another range");
    VERIFY_CONTAINS(message([&] { Tunable<std::chrono::seconds>(f.context, "slow", 2s, {.max = 60s}); }),
                    "another range");
    VERIFY_CONTAINS(message([&] {
                        Tunable<milliseconds>(f.context, "slow", 2ms,
                                              {.min = 1ms, .max = 60s, .role = Role::viewer});
                    }),
                    "another role");
    QCOMPARE(message([&] { Tunable<milliseconds>(f.context, "quick", 0ms, {.min = 1ms}); }),
             std::string("quick: '0s' is below its minimum of 1ms"));
    VERIFY_CONTAINS(message([&] { Tunable<double>(f.context, "share", 0, {.min = 1, .max = 0}); }),
                    "share: its range");
    VERIFY_CONTAINS(message([&] { Tunable<double>(f.context, "share", std::nan("")); }),
                    "share: 'nan' is no real");
    VERIFY_CONTAINS(
        message([&] { Tunable<bool>(f.context, "long_help", true, {.help = std::string(136, 'x')}); }),
        "its help has 136 bytes");
    QCOMPARE(f.view.settings().size(), 2u);  // what was refused left nothing
}

void TestContext::a_full_table_says_which_limit_to_raise() {
    Fixture f(2);
    f.context.fact("a", "");
    f.context.fact("b", "");
    VERIFY_CONTAINS(message([&] { f.context.fact("c", ""); }), "TelemetryOptions::settings");
    f.context.fact("a", "found");
    QCOMPARE(f.value("a"), std::string("found"));
    VERIFY_CONTAINS(message([] { Telemetry({.group = "test", .settings = 0}); }), "0 settings: give 1 to");
}

void TestContext::long_and_broken_text_is_cut_and_repaired() {
    Fixture f;
    QString umlauts(1000, QChar(0xe4));
    f.context.setting("long", umlauts.toStdString(), std::string(1000, 'o'));
    const SettingValue value = *f.find("long").value;
    QVERIFY(value.text.size() <= kSettingTextBytes && value.text.size() > kSettingTextBytes - 4);
    QVERIFY(value.text.ends_with("ä…"));
    QVERIFY(value.origin.size() <= kSettingOriginBytes);
    f.context.setting("broken",
                      "a\xff"
                      "b",
                      "code");
    QCOMPARE(f.value("broken"), std::string("a\xef\xbf\xbd"
                                            "b"));
    f.context.setting("long", "short", "code");
    QCOMPARE(f.value("long"), std::string("short"));
}

void TestContext::secrets_are_not_told() {
    Fixture f;
    f.context.setting("database", "postgres://joe:hunter2@db/letters", "code");
    f.context.fact("api_token", "hunter2");
    QCOMPARE(f.value("database"), std::string("postgres://joe:(redacted)@db/letters"));
    QCOMPARE(f.value("api_token"), std::string("(redacted)"));
    const auto* bytes = reinterpret_cast<const char*>(&f.telemetry.segment().setting(0));
    QVERIFY(std::string_view(bytes, 2 * sizeof(SettingEntry)).find("hunter2") == std::string_view::npos);
}

void TestContext::a_change_out_of_range_is_refused_and_changes_nothing() {
    Fixture f;
    f.context.setting("listen", "127.0.0.1:8080", "code");
    Tunable<milliseconds> slow(f.context, "slow", 250ms, {.min = 1ms, .max = 60s});
    Tunable<double> share(f.context, "share", 0.5, {.min = 0, .max = 1});
    QCOMPARE(f.set("slow", 300s).refusal, std::string("slow: '5min' is above its maximum of 60s"));
    QCOMPARE(f.set("slow", 999us).refusal, std::string("slow: '999us' is below its minimum of 1ms"));
    QCOMPARE(f.set("slow", 1500us).refusal, std::string("slow: '1.5ms' is not a multiple of 1ms"));
    QCOMPARE(refusal_of(f.find("slow"), 300'000'000'000, "5m"),
             std::string("slow: '5m' is above its maximum of 60s"));
    QVERIFY(!f.set("share", std::bit_cast<std::uint64_t>(std::nan(""))).refusal.empty());
    QVERIFY(!f.set("share", std::bit_cast<std::uint64_t>(1.0001)).refusal.empty());
    QVERIFY(!f.set("listen", 7).refusal.empty());
    Segment& segment = f.telemetry.segment();
    QVERIFY(!change_tunable(segment, 1, SettingType::bytes, 2'000'000, "x").refusal.empty());
    QVERIFY(!change_tunable(segment, 77, SettingType::bytes, 1, "x").refusal.empty());
    QVERIFY(!change_tunable(segment, UINT32_MAX, SettingType::bytes, 1, "x").refusal.empty());
    QVERIFY(slow.get() == 250ms && share.get() == 0.5);
    QCOMPARE(f.find("slow").value->version, 0u);
    QCOMPARE(f.find("slow").value->origin, std::string("default"));
}

void TestContext::a_constant_is_a_tunable_without_a_group() {
    const Tunable<milliseconds> slow = 2s;
    QVERIFY(slow.get() == 2000ms);
    QVERIFY(Tunable<bool>(true).get() && !Tunable<bool>(false).get());
    QCOMPARE(Tunable<double>(-0.5).get(), -0.5);
    QVERIFY(Tunable<Bytes>(5_MiB).get() == 5_MiB);
}

void TestContext::refresh_tells_of_changes_and_swallows_what_is_thrown() {
    Fixture f;
    Tunable<milliseconds> slow(f.context, "slow", 250ms);
    Tunable<bool> verbose(f.context, "verbose", false);
    std::vector<milliseconds> seen;
    int other = 0;
    slow.on_change(f.telemetry, [](milliseconds) { throw 7; });
    slow.on_change(f.telemetry, [&](milliseconds value) {
        seen.push_back(value);
        // From within, for later.
        if (seen.size() == 1) slow.on_change(f.telemetry, [&](milliseconds) { ++other; });
    });
    verbose.on_change(f.telemetry, [&](bool) { other += 100; });
    f.telemetry.refresh();
    QVERIFY(seen.empty());
    f.set("slow", 1s);
    f.telemetry.refresh();
    f.telemetry.refresh();
    QVERIFY(seen == std::vector<milliseconds>{1s});
    f.set("slow", 2s);
    f.set("slow", 3s);
    f.telemetry.refresh();
    QVERIFY((seen == std::vector<milliseconds>{1s, 3s}));
    QCOMPARE(other, 1);
}

void TestContext::a_forked_child_sees_a_change() {
    Fixture f;
    Tunable<milliseconds> slow(f.context, "slow", 250ms);
    int told = 0;
    slow.on_change(f.telemetry, [&](milliseconds value) { told = static_cast<int>(value.count()); });
    const auto wait_in_child = [&](milliseconds expected) {
        const pid_t pid = fork();
        if (pid != 0) return pid;
        alarm(60);
        while (slow.get() != expected)
            usleep(1000);
        f.telemetry.refresh();
        _exit(told == expected.count() ? 0 : 1);
    };
    const pid_t before = wait_in_child(750ms);
    QCOMPARE(f.set("slow", 750ms).refusal, std::string());
    const pid_t after = wait_in_child(750ms);  // it finds the value, and is told of it once
    for (const pid_t pid : {before, after}) {
        int status = -1;
        waitpid(pid, &status, 0);
        QCOMPARE(status, 0);
    }
}

void TestContext::workers_register_the_same_without_changing_it() {
    Fixture f;
    std::vector<pid_t> children;
    for (int child = 0; child < 8; ++child) {
        const pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < 40; ++i) {
                const int n = (i + 7 * child) % 40;
                f.context.fact("fact_" + std::to_string(n), std::to_string(n));
                Tunable<std::int64_t> tunable(f.context, "tunable_" + std::to_string(n), n);
                if (tunable.get() != n) _exit(1);
            }
            f.context.fact("fact_0", "another value");
            _exit(0);
        }
        children.push_back(pid);
    }
    for (const pid_t pid : children) {
        int status = -1;
        waitpid(pid, &status, 0);
        QCOMPARE(status, 0);
    }
    const auto settings = f.view.settings();
    QCOMPARE(settings.size(), 80u);
    for (const Setting& setting : settings)
        QCOMPARE(setting.value->text, setting.name.substr(setting.name.find('_') + 1));
}

void TestContext::a_dead_claimant_blocks_nobody() {
    Fixture f;
    f.context.fact("before", "1");
    const pid_t child = fork();
    if (child == 0) {
        Claim claim(f.telemetry.segment().setting(1).state);
        raise(SIGKILL);
    }
    waitpid(child, nullptr, 0);
    QCOMPARE(state_of(f.telemetry.segment().setting(1).state), EntryState::claimed);
    f.context.fact("after", "2");
    QCOMPARE(state_of(f.telemetry.segment().setting(1).state), EntryState::abandoned);
    QCOMPARE(f.view.settings().size(), 2u);
    QCOMPARE(f.value("after"), std::string("2"));
}

void TestContext::nothing_read_while_it_is_rewritten_is_torn() {
    Fixture f;
    f.context.setting("listen", "", "");
    const pid_t reader = fork();
    if (reader == 0) {
        alarm(60);
        SegmentView view(f.telemetry.segment().descriptor());
        for (std::uint64_t version = 0; version < 20'000;) {
            const auto value = view.settings().at(0).value;
            if (!value) continue;
            const bool whole = value->text.find_first_not_of(value->text[0]) == std::string::npos &&
                               value->origin == value->text.substr(0, value->origin.size());
            if (!whole || value->version < version) _exit(1);
            version = value->version;
        }
        _exit(0);
    }
    int status = -1;
    for (int i = 0; waitpid(reader, &status, WNOHANG) == 0; ++i) {
        const char letter = static_cast<char>('a' + i % 26);
        f.context.setting("listen", std::string(40 + i % 200, letter), std::string(40, letter));
    }
    QCOMPARE(status, 0);
}

void TestContext::damaged_entries_are_not_believed_data() {
    QTest::addColumn<std::function<void(SettingEntry&)>>("damage");
    const auto row = [](const char* name, std::function<void(SettingEntry&)> damage) {
        QTest::newRow(name) << damage;
    };
    row("no kind", [](SettingEntry& e) { e.kind = 0; });
    row("kind", [](SettingEntry& e) { e.kind = 4; });
    row("no type", [](SettingEntry& e) { e.type = 0; });
    row("type", [](SettingEntry& e) { e.type = 7; });
    row("a tunable text", [](SettingEntry& e) { e.type = 1; });
    row("a fact with a type", [](SettingEntry& e) { e.kind = 1; });
    row("no role", [](SettingEntry& e) { e.role = 0; });
    row("role", [](SettingEntry& e) { e.role = 3; });
    row("range upside down", [](SettingEntry& e) { std::swap(e.min, e.max); });
    row("range not a number", [](SettingEntry& e) { e.max = std::bit_cast<std::uint64_t>(std::nan("")); });
    row("endless range", [](SettingEntry& e) { e.max = std::bit_cast<std::uint64_t>(HUGE_VAL); });
    row("no step", [](SettingEntry& e) { e.step = 0; });
    row("negative step", [](SettingEntry& e) { e.step = UINT64_MAX; });
    row("no name", [](SettingEntry& e) { e.name[0] = 0; });
    row("name without an end", [](SettingEntry& e) { std::memset(e.name, 0xff, sizeof e.name); });
    row("name that cannot be printed", [](SettingEntry& e) { e.name[1] = '\x1b'; });
}

void TestContext::damaged_entries_are_not_believed() {
    QFETCH(std::function<void(SettingEntry&)>, damage);
    Fixture f;
    Tunable<double> share(f.context, "share", 0.5, {.min = 0.25, .max = 0.75});
    QCOMPARE(f.view.settings().size(), 1u);
    damage(f.telemetry.segment().setting(0));
    QVERIFY(f.view.settings().empty());
    QVERIFY(
        !change_tunable(f.telemetry.segment(), 0, SettingType::real, std::bit_cast<std::uint64_t>(0.6), "x")
             .refusal.empty());
    QCOMPARE(share.get(), 0.5);
}

void TestContext::damaged_values_are_missing_and_get_stays_in_range() {
    Fixture f;
    Tunable<double> share(f.context, "share", 0.5, {.min = 0.25, .max = 0.75});
    Tunable<milliseconds> slow(f.context, "slow", 250ms, {.min = 1ms, .max = 60s});
    SettingEntry& entry = f.telemetry.segment().setting(0);
    for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 0.0, 1.0}) {
        entry.word.store(std::bit_cast<std::uint64_t>(value));
        QVERIFY(share.get() >= 0.25 && share.get() <= 0.75);
        QVERIFY(!f.find("share").value);
    }
    f.telemetry.segment().setting(1).word.store(UINT64_MAX);
    QVERIFY(slow.get() == 1ms);
    f.telemetry.segment().setting(1).word.store(INT64_MAX);
    QVERIFY(slow.get() == 60s);

    entry.word.store(std::bit_cast<std::uint64_t>(0.5));
    entry.text_and_origin_bytes.store(UINT32_MAX);
    QVERIFY(f.find("share").value->origin.size() <= kSettingOriginBytes);
    entry.sequence.store(7);  // a writer that died in the middle
    QVERIFY(!f.find("share").value);
    QCOMPARE(f.set("share", std::bit_cast<std::uint64_t>(0.6)).refusal, std::string());
    QCOMPARE(f.value("share"), std::string("0.6"));
}

void TestContext::random_damage_never_leads_astray() {
    std::mt19937_64 random(23);
    for (int round = 0; round < 200; ++round) {
        Fixture f(8);
        f.context.fact("version", "1");
        Tunable<milliseconds> slow(f.context, "slow", 250ms, {.min = 1ms, .max = 60s});
        Tunable<double> share(f.context, "share", 0.5, {.min = 0, .max = 1});
        auto* bytes = reinterpret_cast<unsigned char*>(&f.telemetry.segment().setting(0));
        for (int i = 0; i < 400; ++i)
            bytes[random() % (8 * sizeof(SettingEntry))] = static_cast<unsigned char>(random());
        QVERIFY(f.view.settings().size() <= 8);
        for (std::uint32_t i = 0; i < 10; ++i)
            change_tunable(f.telemetry.segment(), i, static_cast<SettingType>(random() % 8), random(), "x");
        note_setting(f.telemetry.segment(), "version", "2", "x");
        QVERIFY(slow.get() >= 1ms && slow.get() <= 60s && share.get() >= 0 && share.get() <= 1);
    }
}

void TestContext::a_process_describes_itself_without_its_secrets() {
    qputenv("SIGNALBOX_TEST_TOKEN", "hunter2");
    qputenv("SIGNALBOX_TEST_DATABASE", "postgres://joe:hunter2@db/letters");
    qputenv("SIGNALBOX_TEST_COLOUR", "green");
    Fixture f;
    f.context.describe_process();
    f.context.describe_process();
    QCOMPARE(f.value("environment.SIGNALBOX_TEST_TOKEN"), std::string("(redacted)"));
    QCOMPARE(f.value("environment.SIGNALBOX_TEST_DATABASE"),
             std::string("postgres://joe:(redacted)@db/letters"));
    QCOMPARE(f.value("environment.SIGNALBOX_TEST_COLOUR"), std::string("green"));
    QCOMPARE(f.find("environment.SIGNALBOX_TEST_COLOUR").value->origin, std::string("environment"));
    utsname system{};
    uname(&system);
    QCOMPARE(f.value("host"), std::string(system.nodename));
    VERIFY_CONTAINS(f.value("executable"), "test_telemetry_context");
    VERIFY_CONTAINS(f.value("command_line"), "test_telemetry_context");
    VERIFY_CONTAINS(f.value("kernel"), "Linux ");
    for (const char* name :
         {"limit_open_files", "limit_address_space", "limit_core", "signalbox_version", "compiler"})
        QVERIFY2(f.value(name) != "missing" && !f.value(name).empty(), name);
    const auto started = QDateTime::fromString(QString::fromStdString(f.value("started")), Qt::ISODate);
    QVERIFY(started.isValid() && started <= QDateTime::currentDateTimeUtc().addSecs(2));
    QVERIFY(started > QDateTime::currentDateTimeUtc().addSecs(-3600));

    QProcess readelf;
    readelf.start("readelf", {"-n", QCoreApplication::applicationFilePath()});
    readelf.waitForFinished();
    const QString notes = QString::fromLocal8Bit(readelf.readAllStandardOutput());
    const qsizetype at = notes.indexOf("Build ID: ");
    const QString expected = at < 0 ? "missing" : notes.mid(at + 10).section('\n', 0, 0).trimmed();
    QCOMPARE(QString::fromStdString(f.value("build_id")), expected);
}

void TestContext::a_large_environment_leaves_room_for_settings() {
    const std::string long_name(100, 'N');
    setenv(long_name.c_str(), "x", 1);
    for (int i = 0; i < 40; ++i)
        qputenv(("SIGNALBOX_TEST_" + std::to_string(i)).c_str(), "x");
    {
        Fixture f(64);
        f.context.describe_process();
        f.context.setting("listen", "127.0.0.1:8080", "code");
        QVERIFY(f.view.settings().size() <= 64);
        VERIFY_CONTAINS(f.value("environment_left_out"), " variables");
    }
    unsetenv(long_name.c_str());
    for (int i = 0; i < 40; ++i)
        qunsetenv(("SIGNALBOX_TEST_" + std::to_string(i)).c_str());
}

QTEST_GUILESS_MAIN(TestContext)
#include "test_context.moc"
