// A Configuration as a server uses it, up to the group that comes of it.
#include <QFile>
#include <QTemporaryDir>
#include <QTest>
#include <map>

#include "agent/telemetry/view.hpp"
#include "signalbox/configuration.hpp"

using namespace signalbox;

class ServerTest : public QObject {
    Q_OBJECT
private slots:
    void file_and_command_line_reach_options_and_variables();
    void the_context_says_where_each_setting_was_chosen();
    void names_are_taken_once();
    void what_prepares_the_group_may_fail();
};

namespace {

std::optional<int> read(Configuration& configuration, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "test");
    std::vector<const char*> pointers;
    for (const std::string& argument : arguments)
        pointers.push_back(argument.c_str());
    return configuration.read(static_cast<int>(pointers.size()), pointers.data());
}

std::string written(const QTemporaryDir& directory, const QByteArray& text) {
    QFile file(directory.filePath("file.json"));
    if (!file.open(QFile::WriteOnly) || file.write(text) != text.size()) return {};
    return file.fileName().toStdString();
}

}  // namespace

void ServerTest::file_and_command_line_reach_options_and_variables() {
    const QTemporaryDir directory;
    const std::string file =
        written(directory, R"({"workers": 4, "greeting": "Hi", "colours": ["red", "blue"],
        "patience": "2min", "listeners": {"web": {"address": "127.0.0.1:81"}}})");
    std::string greeting = "Hello";
    std::vector<std::string> colours;
    std::chrono::seconds patience{1};
    Bytes size{7};
    bool loud = false;
    Configuration configuration({.name = "test"});
    configuration.listener("web", "127.0.0.1:80", {.backlog = 3});
    configuration.setting("greeting", &greeting, "What it says");
    configuration.setting("colours", &colours, "What it shows");
    configuration.setting("patience", &patience, "How long it waits");
    configuration.setting("size", &size, "How large it is");
    configuration.setting("loud", &loud, "Whether all hear it");
    QVERIFY(!read(configuration, {"--config", file, "--loud", "--size", "2KiB", "--greeting=Ho",
                                  "--queue-capacity", "9", "--listener", "web.limits.body=1MiB",
                                  "--trusted-proxy", "unix", "--trusted-proxy", "10.0.0.0/8"}));
    QCOMPARE(greeting, std::string("Ho"));
    QCOMPARE(colours, (std::vector<std::string>{"red", "blue"}));
    QCOMPARE(patience, std::chrono::seconds(120));
    QVERIFY(size == Bytes{2048} && loud);
    QCOMPARE(configuration.group().workers, 4u);
    const ConfiguredListener& web = configuration.listener("web");
    QCOMPARE(web.address, std::string("127.0.0.1:81"));
    QCOMPARE(web.options.backlog, 3);
    QCOMPARE(web.options.queue_capacity, 9u);
    QVERIFY(web.options.limits.body == Bytes{1 << 20});
    QCOMPARE(web.options.proxy->trusted, (std::vector<std::string>{"unix", "10.0.0.0/8"}));
    QVERIFY_EXCEPTION_THROWN(configuration.listener("none"), std::out_of_range);
    QCOMPARE(read(configuration, {"--listen", "admin=127.0.0.1:1"}), std::optional(64));
    QCOMPARE(read(configuration, {"--config", file + ".none"}), std::optional(78));
}

void ServerTest::the_context_says_where_each_setting_was_chosen() {
    const QTemporaryDir directory;
    const std::string file = written(directory,
                                     "{\"wedge_timeout\": \"7s\",\n\"greeting\": \"Hi\",\n"
                                     "\"listeners\": [{\"backlog\": 12}]}");
    std::string greeting;
    Configuration configuration({.name = "test", .workers = 3, .anonymous_segment = true});
    configuration.listener("web", "127.0.0.1:0");
    configuration.setting("greeting", &greeting, "What it says");
    QVERIFY(!read(configuration, {"--config", file, "--max-workers", "9", "--queue-deadline", "1s"}));
    Group group(configuration.group());
    const ConfiguredListener& web = configuration.listener("web");
    group.http(web.address, Router{}, web.options);

    std::map<std::string, std::string> shown;
    for (const auto& setting : telemetry::SegmentView(group.telemetry().segment().descriptor()).settings())
        if (setting.value) shown[setting.name] = setting.value->text + " from " + setting.value->origin;
    QCOMPARE(shown["workers"], std::string("3 from code"));
    QCOMPARE(shown["max_workers"], std::string("9 from command line --max-workers"));
    QCOMPARE(shown["wedge_timeout"], "7s from " + file + ":1");
    QCOMPARE(shown["spin_threshold"], std::string("150ms from default"));
    QCOMPARE(shown["greeting"], "Hi from " + file + ":2");
    QCOMPARE(shown["listener_0_backlog"], "12 from " + file + ":3");
    QCOMPARE(shown["listener_0_queue_deadline"], std::string("1s from command line --queue-deadline"));
    QCOMPARE(shown["listener_0_limits_keep_alive"], std::string("75s from default"));
    QCOMPARE(shown["listener_0_name"], std::string("web from code"));
}

void ServerTest::names_are_taken_once() {
    bool variable = false;
    Configuration configuration({.name = "test"});
    configuration.listener("web", "*:1");
    configuration.setting("own", &variable, "It");
    QVERIFY_EXCEPTION_THROWN(configuration.listener("web", "*:2"), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(configuration.listener("We b", "*:2"), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(configuration.setting("own", &variable, "It"), std::invalid_argument);
    QVERIFY_EXCEPTION_THROWN(configuration.setting("workers", &variable, "It"), std::invalid_argument);
}

void ServerTest::what_prepares_the_group_may_fail() {
    const char* arguments[] = {"test", "--anonymous-segment", "--quiet"};
    const auto status = [&](const std::function<void(Group&)>& prepare) {
        Configuration configuration({.name = "test"});
        return configuration.run(3, arguments, prepare);
    };
    QCOMPARE(status([](Group&) { throw std::invalid_argument("thrown by a test"); }), 64);
    QCOMPARE(status([](Group&) { throw std::runtime_error("thrown by a test"); }), 71);
}

QTEST_APPLESS_MAIN(ServerTest)
#include "test_server.moc"
