// What a group asks of its host and what its children get: pid file, limits, users, processors, descriptors.
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QtTest>
#include <set>

#include "agent/supervisor/pid_file.hpp"
#include "agent/supervisor/privileges.hpp"
#include "agent/supervisor/process.hpp"
#include "tests/agent/supervisor/running_arbiter.hpp"
#include "tests/support/in_a_child.hpp"

using namespace signalbox;
using namespace signalbox::tests;
using telemetry::SeatWriter;

class TestHost : public QObject {
    Q_OBJECT
private slots:
    void a_pid_file_says_who_it_is_and_goes_with_it();
    void a_second_process_is_refused_the_pid_file();
    void what_a_dead_process_left_is_taken_over();
    void a_pid_file_that_cannot_be_made_is_named();
    void the_limit_of_open_files_is_set_or_the_hard_one_named();
    void unknown_users_and_groups_are_named();
    void root_is_given_up_for_good();
    void a_process_is_pinned_to_one_of_its_processors();
    void siblings_draw_different_random_numbers();
    void a_worker_has_exactly_the_descriptors_it_is_meant_to_have();
};

namespace {

std::string message_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "nothing is thrown";
}

QByteArray contents(const QString& path) {
    QFile file(path);
    return file.open(QFile::ReadOnly) ? file.readAll() : QByteArray("none");
}

}  // namespace

void TestHost::a_pid_file_says_who_it_is_and_goes_with_it() {
    QTemporaryDir directory;
    const QString path = directory.filePath("pid");
    {
        const PidFile file(path.toStdString());
        QCOMPARE(contents(path), QByteArray::number(getpid()) + '\n');
        QVERIFY(in_a_child([] { return true; }));  // whose end changes nothing
        QCOMPARE(contents(path), QByteArray::number(getpid()) + '\n');
    }
    QVERIFY(!QFile::exists(path));
    QCOMPARE(PidFile("").descriptor(), -1);
}

void TestHost::a_second_process_is_refused_the_pid_file() {
    QTemporaryDir directory;
    const std::string path = directory.filePath("pid").toStdString();
    const PidFile file(path);
    const std::string refusal = "pid_file: " + path + " belongs to process " + std::to_string(getpid()) +
                                "; stop that one first, or give another file";
    QVERIFY(in_a_child([&] { return message_of([&] { PidFile other(path); }) == refusal; }));
    QCOMPARE(contents(QString::fromStdString(path)), QByteArray::number(getpid()) + '\n');
}

void TestHost::what_a_dead_process_left_is_taken_over() {
    QTemporaryDir directory;
    const QString path = directory.filePath("pid");
    QVERIFY(in_a_child([&]() -> bool {
        const PidFile file(path.toStdString());
        _exit(0);
    }));
    QVERIFY(contents(path) != QByteArray::number(getpid()) + '\n');
    const PidFile file(path.toStdString());
    QCOMPARE(contents(path), QByteArray::number(getpid()) + '\n');
}

void TestHost::a_pid_file_that_cannot_be_made_is_named() {
    const QString text = QString::fromStdString(message_of([] { PidFile file("/nowhere/at/all.pid"); }));
    QVERIFY2(text.startsWith("pid_file: /nowhere/at/all.pid: No such file"), qPrintable(text));
}

void TestHost::the_limit_of_open_files_is_set_or_the_hard_one_named() {
    QVERIFY(in_a_child([] {
        set_open_files_limit(100);
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        return limit.rlim_cur == 100;
    }));
    const QString text = QString::fromStdString(message_of([] { set_open_files_limit(UINT64_MAX / 2); }));
    QVERIFY2(text.startsWith("open_files: 9223372036854775807 is above the hard limit of "),
             qPrintable(text));
}

void TestHost::unknown_users_and_groups_are_named() {
    QCOMPARE(message_of([] { become("nobody-at-all", ""); }),
             std::string("user: there is no 'nobody-at-all' on this host"));
    QCOMPARE(message_of([] { become("root", "no-such-group"); }),
             std::string("user_group: there is no 'no-such-group' on this host"));
    QCOMPARE(message_of([] { become("", "daemon"); }),
             std::string("user_group: 'daemon' needs a user as well"));
    become("", "");
}

void TestHost::root_is_given_up_for_good() {
    if (geteuid() != 0) QSKIP("needs root");
    QVERIFY(in_a_child([] {
        become("nobody", "");
        return geteuid() != 0 && getuid() != 0 && getgid() != 0 && setuid(0) != 0 &&
               !QDir("/proc/self/fd").entryList(QDir::System | QDir::Files).isEmpty();
    }));
    QVERIFY(in_a_child([] {
        become("nobody", "daemon");
        return getgid() == 1;
    }));
}

void TestHost::a_process_is_pinned_to_one_of_its_processors() {
    cpu_set_t allowed;
    sched_getaffinity(0, sizeof allowed, &allowed);
    const auto processors = static_cast<unsigned>(CPU_COUNT(&allowed));
    for (unsigned number : {0u, processors - 1, processors, 1000u * processors + 1})
        QVERIFY(in_a_child([&] {
            cpu_set_t own;
            if (!pin_to_processor(number) || sched_getaffinity(0, sizeof own, &own) != 0) return false;
            CPU_AND(&own, &own, &allowed);
            return CPU_COUNT(&own) == 1;
        }));
}

void TestHost::siblings_draw_different_random_numbers() {
    ArbiterConfig config = with_workers(4);
    config.worker = [](SeatWriter& seat, const std::function<void()>& notify) {
        seat.set_connections(static_cast<std::uint32_t>(random()));
        return live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(4));
    std::set<std::uint32_t> drawn;
    for (const wire::Worker& worker : group.view().workers())
        drawn.insert(worker.connections);
    QCOMPARE(drawn.size(), 4u);
}

void TestHost::a_worker_has_exactly_the_descriptors_it_is_meant_to_have() {
    QTemporaryDir directory;
    const auto targets = [] {
        QStringList found;
        for (const QFileInfo& link :
             QDir("/proc/self/fd").entryInfoList(QDir::System | QDir::AllEntries | QDir::NoDotAndDotDot)) {
            std::array<char, 256> target{};
            if (readlink(qPrintable(link.filePath()), target.data(), target.size() - 1) <= 0) continue;
            if (!QByteArray(target.data()).startsWith("/proc/"))
                found << target.data();  // the listing itself
        }
        return found;
    };
    QStringList meant = targets();
    setenv("NOTIFY_SOCKET", qPrintable(directory.filePath("notify")), 1);
    const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::strcpy(address.sun_path, qPrintable(directory.filePath("notify")));
    QCOMPARE(bind(manager, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const PidFile pid_file(directory.filePath("pid").toStdString());

    ArbiterConfig config = with_workers(2);
    config.close_in_workers = {pid_file.descriptor(), manager};
    config.close_in_agent = config.close_in_workers;
    config.agent = [](int commands) {
        pollfd end{commands, POLLIN, 0};
        return poll(&end, 1, -1) == 1 ? 0 : 1;
    };
    const QString report = directory.filePath("report");
    config.worker = [&](SeatWriter& seat, const std::function<void()>& notify) {
        QFile file(report + QString::number(seat.slot()));
        const QStringList found = targets();
        if (file.open(QFile::WriteOnly)) file.write(found.join('\n').toUtf8());
        file.close();
        return live(seat, notify);
    };
    Running group(config);
    QTRY_VERIFY(group.all_ready(2) && group.view().group().agent_pid != 0);
    for (const char* slot : {"0", "1"}) {
        QStringList surplus = QString::fromUtf8(contents(report + slot)).split('\n');
        for (const QString& target : meant)
            surplus.removeOne(target);
        // Beside what the test has: the segment, twice (this process and the view), and the arbiter's bell.
        surplus.removeAll("anon_inode:[eventfd]");
        surplus.removeIf([](const QString& target) { return target.startsWith("/memfd:"); });
        QVERIFY2(surplus.isEmpty(), qPrintable(surplus.join(", ")));
    }
    close(manager);
    unsetenv("NOTIFY_SOCKET");
}

QTEST_GUILESS_MAIN(TestHost)
#include "test_host.moc"
