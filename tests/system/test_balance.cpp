// Whatever happens to connections, each is counted once: a short soak.
#include <QtTest>

#include "tests/system/soak.hpp"

using namespace signalbox;
using namespace std::chrono_literals;

class TestBalance : public QObject {
    Q_OBJECT
private slots:
    void every_connection_is_accounted_for_when_all_is_over();
};

void TestBalance::every_connection_is_accounted_for_when_all_is_over() {
    const tests::Soak::Report report = tests::Soak(15s).run();
    for (const QString& figure : report.figures)
        qInfo("%s", qPrintable(figure));
    QVERIFY2(report.faults.isEmpty(), qPrintable(report.faults.join('\n')));
}

QTEST_GUILESS_MAIN(TestBalance)
#include "test_balance.moc"
