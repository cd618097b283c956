// What a service manager hears from an arbiter, on a socket that the test listens on.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <QTemporaryDir>
#include <QtTest>

#include "agent/supervisor/service_manager.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"

using namespace signalbox;
using namespace signalbox::tests;

class TestServiceManager : public QObject {
    Q_OBJECT
private slots:
    void cleanup();
    void without_a_manager_nothing_happens();
    void a_senseless_environment_is_no_manager_data();
    void a_senseless_environment_is_no_manager();
    void the_variables_are_taken_out_of_the_environment();
    void an_abstract_socket_is_one_too();
    void the_watchdog_is_fed_twice_a_period();
    void a_watchdog_for_another_process_is_not_ours();
    void a_group_says_when_it_is_ready_reloads_and_stops();
};

namespace {

class FakeManager {
public:
    explicit FakeManager(const std::string& name = "") {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_ = name.empty() ? directory_.filePath("notify").toStdString() : name;
        std::memcpy(address.sun_path, path_.data(), path_.size());
        if (path_[0] == '@') address.sun_path[0] = '\0';
        socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bind(socket_, reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size()));
        setenv("NOTIFY_SOCKET", path_.c_str(), 1);
    }
    ~FakeManager() { close(socket_); }

    /// All that has been said so far, one message an element.
    const QStringList& heard() {
        std::array<char, 4096> message;
        ssize_t length = 0;
        while ((length = recv(socket_, message.data(), message.size(), 0)) > 0)
            heard_ << QString::fromUtf8(message.data(), static_cast<int>(length));
        return heard_;
    }
    qsizetype count(const QString& message) { return heard().count(message); }

private:
    QTemporaryDir directory_;
    std::string path_;
    int socket_;
    QStringList heard_;
};

}  // namespace

void TestServiceManager::cleanup() {
    for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
        unsetenv(variable);
}

void TestServiceManager::without_a_manager_nothing_happens() {
    setenv("WATCHDOG_USEC", "1000000", 1);
    ServiceManager manager;
    QVERIFY(!manager.present());
    QCOMPARE(manager.next_beat(), UINT64_MAX);
    manager.tell("READY=1");
    manager.beat(1);
}

void TestServiceManager::a_senseless_environment_is_no_manager_data() {
    QTest::addColumn<QByteArray>("path");
    for (const char* path : {"", "/", "relative", "/nowhere/at/all", "@"})
        QTest::newRow(*path ? path : "empty") << QByteArray(path);
    QTest::newRow("too long") << "/" + QByteArray(200, 'x');
}

void TestServiceManager::a_senseless_environment_is_no_manager() {
    QFETCH(QByteArray, path);
    setenv("NOTIFY_SOCKET", path.constData(), 1);
    QVERIFY(!ServiceManager().present());
}

void TestServiceManager::the_variables_are_taken_out_of_the_environment() {
    FakeManager fake;
    setenv("WATCHDOG_USEC", "1000000", 1);
    const ServiceManager manager;
    QVERIFY(manager.present());
    QVERIFY(!getenv("NOTIFY_SOCKET") && !getenv("WATCHDOG_USEC"));
}

void TestServiceManager::an_abstract_socket_is_one_too() {
    FakeManager fake("@signalbox-test-" + std::to_string(getpid()));
    ServiceManager manager;
    manager.status("hello");
    manager.status("hello");
    QCOMPARE(fake.heard(), QStringList{"STATUS=hello"});
}

void TestServiceManager::the_watchdog_is_fed_twice_a_period() {
    FakeManager fake;
    setenv("WATCHDOG_USEC", "2000", 1);
    setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
    ServiceManager manager;
    for (std::uint64_t now = 1'000'000'000; now < 1'010'000'000; now += 100'000)
        manager.beat(now);
    QCOMPARE(fake.count("WATCHDOG=1"), 10);
    QCOMPARE(manager.next_beat(), std::uint64_t{1'010'000'000});
}

void TestServiceManager::a_watchdog_for_another_process_is_not_ours() {
    FakeManager fake;
    setenv("WATCHDOG_USEC", "2000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    const ServiceManager manager;
    QVERIFY(manager.present());
    QCOMPARE(manager.next_beat(), UINT64_MAX);
}

void TestServiceManager::a_group_says_when_it_is_ready_reloads_and_stops() {
    FakeManager fake;
    setenv("WATCHDOG_USEC", "200000", 1);
    ArbiterConfig config = with_workers(2);
    config.worker = [](telemetry::SeatWriter& seat, const std::function<void()>& notify) {
        return getenv("NOTIFY_SOCKET") ? 1 : live(seat, notify);  // it is not theirs
    };
    config.reload = [times = 0]() mutable {
        return ++times == 2 ? Reloaded{.refusal = "Nobody likes it."} : Reloaded{};
    };
    Running group(config);
    QTRY_COMPARE(fake.count("READY=1"), 1);
    QTRY_VERIFY(fake.heard().contains("STATUS=2 of 2 workers serve"));
    QTRY_VERIFY(fake.count("WATCHDOG=1") > 3);
    group.send(SIGHUP);
    QTRY_COMPARE(fake.count("READY=1"), 2);
    const auto reloading = fake.heard().filter(QRegularExpression("^RELOADING=1\nMONOTONIC_USEC=[0-9]+$"));
    QCOMPARE(reloading.size(), 1);
    QVERIFY(fake.heard().indexOf(reloading[0]) < fake.heard().lastIndexOf("READY=1"));
    // One that is refused has ended, too.
    group.send(SIGHUP);
    QTRY_COMPARE(fake.count("READY=1"), 3);
    QCOMPARE(group.count("command_refused"), 1);
    QCOMPARE(group.count("worker_starting"), 4);
    group.send(SIGTERM);
    QTRY_VERIFY(group.has_ended());
    QCOMPARE(fake.count("STOPPING=1\nSTATUS=The workers drain"), 1);
}

QTEST_GUILESS_MAIN(TestServiceManager)
#include "test_service_manager.moc"
