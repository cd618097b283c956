// A group that is set up by a file, which is read again while the group serves.
#include <signal.h>

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtTest>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::Load;
using tests::RunningGroup;

class TestConfiguration : public QObject {
    Q_OBJECT
private slots:
    void a_reload_sets_tunables_scales_and_cycles_without_losing_a_request();
    void what_is_wrong_changes_nothing_data();
    void what_is_wrong_changes_nothing();
    void what_needs_a_restart_is_named_each_time();
    void an_operator_reloads_and_is_told_what_is_wrong();
    void the_example_is_valid();
};

namespace {

/// A configuration file that changes.
class File {
public:
    QString path() const { return directory_.filePath("group.json"); }
    QString other_path() const { return directory_.filePath("other"); }
    void write(const QByteArray& text) const {
        QFile file(path());
        if (!file.open(QFile::WriteOnly) || file.write(text) != text.size()) qFatal("cannot write");
    }
    QStringList options() const { return {"--quiet", "--config", path()}; }

private:
    QTemporaryDir directory_;
};

long count(const RunningGroup& group, const std::string& name) {
    const auto events = group.events();
    return std::count_if(events.begin(), events.end(), [&](const auto& event) { return event.name == name; });
}

QString text_of(const RunningGroup& group, const std::string& name) {
    QString text;
    for (const auto& event : group.events())
        if (event.name == name) text = QString::fromStdString(event.text);
    return text;
}

/// "5s from default"
QString setting(const RunningGroup& group, const std::string& name) {
    for (const auto& setting : group.view().settings())
        if (setting.name == name && setting.value)
            return QString::fromStdString(setting.value->text + " from " + setting.value->origin);
    return {};
}

bool all_newer_than(const RunningGroup& group, std::uint64_t generation, std::size_t workers) {
    if (!group.all_ready(workers)) return false;
    for (const wire::Worker& worker : group.view().workers())
        if (worker.generation <= generation) return false;
    return true;
}

QByteArray status_of_post(const RunningGroup& group, const QByteArray& body) {
    QProcess curl;
    curl.start("curl", {"-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--data-binary", "@-",
                        group.url() + "/classify"});
    curl.write(body);
    curl.closeWriteChannel();
    curl.waitForFinished();
    return curl.readAllStandardOutput();
}

std::pair<int, QString> ctl(const RunningGroup& group, const QStringList& arguments) {
    QProcess process;
    process.start(tests::program("signalboxctl"), QStringList{group.agent_url()} + arguments);
    process.waitForFinished();
    return {process.exitCode(),
            QString::fromUtf8(process.readAllStandardOutput() + process.readAllStandardError())};
}

}  // namespace

void TestConfiguration::a_reload_sets_tunables_scales_and_cycles_without_losing_a_request() {
    const File file;
    file.write(R"({"workers": 2, "wedge_timeout": "20s", "listeners": [{"queue_deadline": "9s"}]})");
    RunningGroup group(2, file.options());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    const QString path = file.path();
    QCOMPARE(setting(group, "workers"), "2 from " + path + ":1");
    QCOMPARE(setting(group, "wedge_timeout"), "20s from " + path + ":1");
    const QByteArray letter = "Subject: hello\n\n" + QByteArray(3000, 'x');
    QCOMPARE(status_of_post(group, letter), QByteArray("200"));
    // What an operator has set is overruled where the file says something else, and stays where it says nothing.
    QCOMPARE(ctl(group, {"set", "wedge_timeout", "30s"}).first, 0);
    QCOMPARE(ctl(group, {"set", "spin_threshold", "3s"}).first, 0);
    Load load(group.url() + "/hello", {"--rate", "200", "--duration", "100", "--new-connections"});
    QTRY_VERIFY(group.counters()["http_requests_total"] > 100);
    file.write(
        "{\"workers\": 3,\n\"wedge_timeout\": \"20s\",\n"
        "\"listeners\": [{\"queue_deadline\": \"8s\", \"backlog\": 77, \"limits\": {\"body\": \"2KiB\"}}]}");
    ::kill(group.arbiter(), SIGHUP);
    QTRY_VERIFY_WITH_TIMEOUT(all_newer_than(group, 2, 3), 60'000);
    QCOMPARE(setting(group, "workers"), "3 from " + path + ":1");
    QCOMPARE(setting(group, "wedge_timeout"), "20s from " + path + ":2");
    QVERIFY(setting(group, "spin_threshold").startsWith("3s from operator"));
    QCOMPARE(setting(group, "listener_0_queue_deadline"), "8s from " + path + ":3");
    QCOMPARE(setting(group, "listener_0_limits_body"), "2KiB from " + path + ":3");
    QCOMPARE(setting(group, "listener_0_backlog"), "77 from " + path + ":3");
    QCOMPARE(status_of_post(group, letter), QByteArray("413"));
    QCOMPARE(count(group, "configuration_needs_restart"), 0);
    // What the file says no more is the default again.
    file.write(R"({"workers": 3})");
    ::kill(group.arbiter(), SIGHUP);
    QTRY_COMPARE(setting(group, "wedge_timeout"), QString("10s from default"));
    QTRY_VERIFY_WITH_TIMEOUT(status_of_post(group, letter) == "200", 60'000);
    const QJsonObject summary = load.finish(true);
    QVERIFY2(summary["failed"].toInt(-1) == 0, QJsonDocument(summary).toJson());
    QCOMPARE(group.stop(), 0);
}

void TestConfiguration::what_is_wrong_changes_nothing_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QString>("error");
    QTest::newRow("a value") << QByteArray("{\"workers\": 3, \"wedge_timeout\": \"1 parsec\"}")
                             << ":1:33: wedge_timeout: ";
    QTest::newRow("being written") << QByteArray("{\"workers\": 3, \"wedge_tim") << ": this is not JSON: ";
    QTest::newRow("empty") << QByteArray("") << ": this is not JSON: ";
    QTest::newRow("huge") << QByteArray(2 << 20, ' ') << ": is larger than 1024 KiB";
    QTest::newRow("gone") << QByteArray("gone") << ": cannot be opened: No such file";
    QTest::newRow("a directory") << QByteArray("directory") << ": is a directory";
}

void TestConfiguration::what_is_wrong_changes_nothing() {
    QFETCH(QByteArray, text);
    QFETCH(QString, error);
    const File file;
    file.write(R"({"workers": 1, "wedge_timeout": "20s"})");
    RunningGroup group(1, file.options());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    if (text == "gone" || text == "directory")
        QVERIFY(QFile::remove(file.path()));
    else
        file.write(text);
    if (text == "directory") QVERIFY(QDir().mkpath(file.path()));
    ::kill(group.arbiter(), SIGHUP);
    QTRY_COMPARE(count(group, "configuration_refused"), 1);
    QTRY_VERIFY2(text_of(group, "configuration_error").contains(error),
                 qPrintable(text_of(group, "configuration_error")));
    QTRY_COMPARE(count(group, "command_refused"), 1);
    QCOMPARE(setting(group, "wedge_timeout"), "20s from " + file.path() + ":1");
    QVERIFY(group.all_ready(1));
    QCOMPARE(group.worker(0).generation, 1u);
    QCOMPARE(count(group, "cycle_requested"), 0);
}

void TestConfiguration::what_needs_a_restart_is_named_each_time() {
    const File file;
    file.write(R"({"workers": 1})");
    RunningGroup group(1, file.options());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    file.write(R"({"workers": 1, "max_workers": 5, "pid_file": "/x", "log": "/y",
                   "listeners": [{"tls": {"certificate": "/c", "key": "/k"}}]})");
    for (const int times : {1, 2}) {
        ::kill(group.arbiter(), SIGHUP);
        QTRY_COMPARE(count(group, "configuration_needs_restart"), times);
        const QString text = text_of(group, "configuration_needs_restart");
        QVERIFY2(text.endsWith("until a restart: max_workers, pid_file, log, listeners.web.tls."),
                 qPrintable(text));
    }
    QCOMPARE(setting(group, "max_workers"), QString("64 from default"));
    QTRY_VERIFY(all_newer_than(group, 1, 1));
    QCOMPARE(status_of_post(group, "Subject: x\n\ny"), QByteArray("200"));
}

void TestConfiguration::an_operator_reloads_and_is_told_what_is_wrong() {
    const File file;
    file.write(R"({"workers": 1})");
    RunningGroup group(1, file.options());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    file.write(R"({"workers": 2, "drain_deadline": "3s"})");
    const auto [done, said] = ctl(group, {"reload"});
    QVERIFY2(done == 0 && said.contains("was read again: 1 settings changed. 1 workers are cycled"),
             qPrintable(said));
    QTRY_VERIFY_WITH_TIMEOUT(all_newer_than(group, 1, 2), 60'000);
    file.write(R"({"workers": 0})");
    const auto [refused, why] = ctl(group, {"reload"});
    QCOMPARE(refused, 1);
    QVERIFY2(why.startsWith("signalboxctl: The configuration stays as it was: 1 error. "), qPrintable(why));
    QTRY_VERIFY(
        text_of(group, "configuration_error").contains(":1:13: workers: '0' is below its minimum of 1"));
}

void TestConfiguration::the_example_is_valid() {
    QProcess mailroom;
    mailroom.start(tests::program("mailroom"),
                   {"--config", QFINDTESTDATA("../../resources/mailroom.json"), "--check-config"});
    QVERIFY(mailroom.waitForFinished());
    const QByteArray said = mailroom.readAllStandardOutput() + mailroom.readAllStandardError();
    QVERIFY2(mailroom.exitCode() == 0 && said.contains("mailroom.json is valid"), said);
}

QTEST_GUILESS_MAIN(TestConfiguration)
#include "test_configuration.moc"
