// The number of workers follows a real load; the memory of all of them together stays within its limit.
#include <signal.h>
#include <unistd.h>

#include <QtTest>
#include <memory>
#include <vector>

#include "tests/system/running_group.hpp"

using namespace signalbox;
using tests::RunningGroup;

class TestScaling : public QObject {
    Q_OBJECT
private slots:
    void the_group_grows_with_the_load_and_shrinks_after_it();
    void an_operator_has_the_last_word();
    void of_all_workers_the_largest_is_cycled_when_they_have_too_much_memory();
};

namespace {

/// Clients that keep as many requests under way, each on a connection of its own.
class Clients {
public:
    Clients(const RunningGroup& group, const QString& path, int count) {
        const QString command =
            "while :; do curl -s -m 60 -o /dev/null -X POST '" + group.url() + path + "' || sleep 0.1; done";
        for (int i = 0; i < count; ++i) {
            processes_.push_back(std::make_unique<QProcess>());
            processes_.back()->setChildProcessModifier([] { ::setpgid(0, 0); });
            processes_.back()->start("sh", {"-c", command});
            processes_.back()->waitForStarted();
        }
    }
    ~Clients() {
        for (const auto& process : processes_) {
            ::kill(-static_cast<pid_t>(process->processId()), SIGKILL);
            process->waitForFinished();
        }
    }

private:
    std::vector<std::unique_ptr<QProcess>> processes_;
};

std::vector<QString> texts_of(const RunningGroup& group, const std::string& name) {
    std::vector<QString> texts;
    for (const auto& event : group.events())
        if (event.name == name) texts.push_back(QString::fromStdString(event.text));
    return texts;
}

QString origin_of_workers(const RunningGroup& group) {
    for (const auto& setting : group.view().settings())
        if (setting.name == "workers" && setting.value) return QString::fromStdString(setting.value->origin);
    return {};
}

QStringList quick(const QStringList& more = {}) {
    return QStringList{"--quiet",
                       "--autoscale",
                       "--min-workers",
                       "2",
                       "--max-workers",
                       "6",
                       "--autoscale-queue-target",
                       "30ms",
                       "--autoscale-up-after",
                       "300ms",
                       "--autoscale-down-after",
                       "1s"} +
           more;
}

}  // namespace

void TestScaling::the_group_grows_with_the_load_and_shrinks_after_it() {
    RunningGroup group(2, quick());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    {
        // Handlers that block: every one of them keeps a whole worker.
        const Clients clients(group, "/misbehave/block?milliseconds=200", 12);
        QTRY_VERIFY_WITH_TIMEOUT(
            group.view().workers().size() >= 4 && group.all_ready(group.view().workers().size()), 60'000);
        const QString text = texts_of(group, "group_scaled").front();
        QVERIFY2(text.contains(
                     QRegularExpression("^From 2 to 3 workers: autoscaling: connections wait [0-9]+ ms for a "
                                        "worker \\(autoscale_queue_target: 30 ms\\)\\.$")),
                 qPrintable(text));
        QCOMPARE(origin_of_workers(group), QString("autoscaling"));
    }
    QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(2), 100'000);
    const QString text = texts_of(group, "group_scaled").back();
    QVERIFY2(text.startsWith("From 3 to 2 workers: autoscaling: the workers were less than 50 % busy"),
             qPrintable(text));
    QCOMPARE(group.stop(), 0);
}

void TestScaling::an_operator_has_the_last_word() {
    RunningGroup group(2, quick());
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(QProcess::execute(tests::program("signalboxctl"), {group.agent_url(), "scale", "4"}), 0);
    QTRY_VERIFY(group.all_ready(4));
    QCOMPARE(texts_of(group, "group_scaled").size(), 1u);
    QCOMPARE(
        QProcess::execute(tests::program("signalboxctl"), {group.agent_url(), "set", "autoscale_hold", "0s"}),
        0);
    QTRY_VERIFY_WITH_TIMEOUT(group.all_ready(2), 100'000);
}

void TestScaling::of_all_workers_the_largest_is_cycled_when_they_have_too_much_memory() {
    RunningGroup group(2, {"--quiet"});
    QVERIFY2(group.failure().isEmpty(), qPrintable(group.failure()));
    QCOMPARE(QProcess::execute("curl", {"-s", "-m", "60", "-o", "/dev/null", "-X", "POST",
                                        group.url() + "/misbehave/leak?bytes=300MiB"}),
             0);
    const auto largest = [&] {
        const wire::Worker a = group.worker(0);
        const wire::Worker b = group.worker(1);
        return tests::resident_bytes(static_cast<pid_t>(a.pid)) >
                       tests::resident_bytes(static_cast<pid_t>(b.pid))
                   ? a
                   : b;
    };
    const wire::Worker leaking = largest();
    const std::uint64_t other = group.worker(1 - leaking.slot).generation;
    QCOMPARE(QProcess::execute(tests::program("signalboxctl"),
                               {group.agent_url(), "set", "total_memory_limit", "250MiB"}),
             0);
    QTRY_VERIFY_WITH_TIMEOUT(group.worker(leaking.slot).generation > leaking.generation && group.all_ready(2),
                             60'000);
    QCOMPARE(group.worker(1 - leaking.slot).generation, other);
    const auto texts = texts_of(group, "total_memory_limit");
    QCOMPARE(texts.size(), 1u);
    QVERIFY2(texts.front().contains(QRegularExpression("have [0-9]+ MiB of memory, limit 250 MiB")),
             qPrintable(texts.front()));
}

QTEST_GUILESS_MAIN(TestScaling)
#include "test_scaling.moc"
