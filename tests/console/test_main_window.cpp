// The window as a person uses it, against an agent that can be made to fail.
#include <QGraphicsView>
#include <QLabel>
#include <QMouseEvent>
#include <QSignalSpy>
#include <QSpinBox>
#include <QTableView>
#include <QTest>
#include <QTreeView>

#include "console/models/roles.hpp"
#include "console/views/figure_tile.hpp"
#include "console/views/worker_actions.hpp"
#include "tests/console/fakeagent/synthetic_agent.hpp"
#include "tests/console/fakeagent/synthetic_group.hpp"
#include "tests/console/window_driver.hpp"

using namespace signalbox;
using namespace signalbox::test;

namespace {

constexpr int kLimit = 20'000;

class Fixture {
public:
    explicit Fixture(SyntheticAgentOptions options = {})
        : agent_(directory_.filePath("agent.sock").toStdString(), options) {}
    SyntheticAgent& agent() { return agent_; }
    WindowDriver& driver() { return driver_; }
    QString url() const { return QString::fromStdString(agent_.url()); }
    bool connect() { return driver_.connectTo(url()); }

private:
    QTemporaryDir directory_;
    SyntheticAgent agent_;
    WindowDriver driver_;
};

std::uint64_t generationOf(Fixture& fixture, std::uint32_t slot) {
    std::uint64_t generation = 0;
    fixture.agent().change([&](SyntheticGroup& group) { generation = group.serving(slot)->generation; });
    return generation;
}

}  // namespace

class TestMainWindow : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void without_an_agent_it_welcomes() {
        WindowDriver driver;
        QVERIFY(driver.child<QWidget>("welcomePage").isVisible());
        QVERIFY(!driver.trigger("cycleWorkerAction"));
        QVERIFY(driver.window()
                    .findChild<QAction*>("scaleAction")
                    ->toolTip()
                    .contains("Connect to an agent first"));
    }

    void it_connects_and_shows_workers_and_figures() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        QTRY_COMPARE_WITH_TIMEOUT(driver.child<console::FigureTile>("workersTile").value(),
                                  QStringLiteral("4 / 4"), kLimit);
        QTRY_VERIFY_WITH_TIMEOUT(driver.child<console::FigureTile>("latencyTile").value().endsWith("ms"),
                                 kLimit);
        QVERIFY(driver.child<QLabel>("scopeLabel").text().contains("whole group"));
        QCOMPARE(driver.connectionBanner(), QString());
        QVERIFY(!driver.window().grab().isNull());
    }

    void choosing_a_worker_narrows_the_view_and_escape_widens_it() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        QVERIFY(driver.selectSlot(2));
        QVERIFY(driver.child<QLabel>("scopeLabel").text().contains("worker 2 only"));
        QCOMPARE(driver.child<QTreeView>("fleetTree").currentIndex().data(console::SlotRole).toUInt(), 2u);
        QVERIFY(driver.trigger("wholeGroupAction"));
        QVERIFY(driver.child<QLabel>("scopeLabel").text().contains("whole group"));
        QVERIFY(!driver.window().selectedWorker());
    }

    void cycling_a_worker_names_its_generation_and_shows_the_outcome() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        QVERIFY(driver.selectSlot(2));
        const auto generation = generationOf(fixture, 2);
        QVERIFY(driver.trigger("cycleWorkerAction"));
        QVERIFY(driver.dialog());
        QVERIFY(driver.dialog()
                    ->findChild<QLabel*>("confirmExplanation")
                    ->text()
                    .contains(QStringLiteral("generation %1").arg(generation)));
        QVERIFY(fixture.agent().calls("worker.cycle").empty());  // nothing happens before it is confirmed
        driver.acceptDialog();
        QVERIFY(driver.waitForOutcome().contains("accepted"));
        const auto calls = fixture.agent().calls("worker.cycle");
        QCOMPARE(calls.size(), 1u);
        QCOMPARE(calls.front().at("slot").get<int>(), 2);
        QCOMPARE(calls.front().at("generation").get<std::uint64_t>(), generation);
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 5, kLimit);
        QTRY_VERIFY_WITH_TIMEOUT(driver.hasEvent("worker_exited"), kLimit);
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        QVERIFY(generationOf(fixture, 2) > generation);
        // The view stays with the slot, on the worker that serves it now.
        QTRY_VERIFY_WITH_TIMEOUT(driver.window().selectedWorker() == 2u, kLimit);
        QCOMPARE(
            driver.child<QTreeView>("fleetTree").currentIndex().data(console::GenerationRole).toULongLong(),
            generationOf(fixture, 2));
        const auto rows = driver.child<QTableView>("workersTable").selectionModel()->selectedRows();
        QCOMPARE(rows.size(), 1);
        QCOMPARE(rows.front().data(console::SlotRole).toUInt(), 2u);
    }

    void a_cancelled_confirmation_does_nothing() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QVERIFY(driver.selectSlot(1));
        QVERIFY(driver.trigger("cycleWorkerAction"));
        driver.dialog()->reject();
        QTRY_VERIFY_WITH_TIMEOUT(!driver.dialog(), kLimit);
        QVERIFY(fixture.agent().calls("worker.cycle").empty());
    }

    void a_stale_generation_is_reported() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QVERIFY(driver.selectSlot(1));
        fixture.agent().failNext("worker.cycle", -32002, "slot 1 is at generation 9 <b>now</b>");
        QVERIFY(driver.trigger("cycleWorkerAction"));
        driver.acceptDialog();
        const QString outcome = driver.waitForOutcome();
        QVERIFY2(outcome.contains("refused") && outcome.contains("generation 9 <b>now</b>"),
                 qPrintable(outcome));
        QVERIFY(driver.hasEvent("action_failed"));
    }

    void scaling_asks_for_a_number_and_says_from_and_to() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        QVERIFY(driver.trigger("scaleAction"));
        driver.dialog()->findChild<QSpinBox*>("confirmNumber")->setValue(6);
        QVERIFY(driver.dialog()->findChild<QLabel*>("confirmExplanation")->text().contains("from 4 to 6"));
        driver.acceptDialog();
        QVERIFY(driver.waitForOutcome().contains("accepted"));
        QCOMPARE(fixture.agent().calls("group.scale").front().at("workers").get<int>(), 6);
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 6, kLimit);
    }

    void cycling_all_asks_too() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        QVERIFY(fixture.driver().trigger("cycleAllAction"));
        fixture.driver().acceptDialog();
        QVERIFY(fixture.driver().waitForOutcome().contains("accepted"));
        QCOMPARE(fixture.agent().calls("group.cycle").size(), 1u);
    }

    void actions_are_disabled_with_a_reason_for_who_may_only_look() {
        Fixture fixture({.mayAct = false});
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QVERIFY(driver.selectSlot(0));
        for (const auto* name : {"cycleWorkerAction", "cycleAllAction", "scaleAction"}) {
            QVERIFY(!driver.trigger(name));
            QVERIFY(driver.window().findChild<QAction*>(name)->toolTip().contains("may only look"));
        }
    }

    void a_lost_connection_is_said_and_recovers_without_a_gap_in_what_is_known() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 4, kLimit);
        fixture.agent().close();
        QTRY_VERIFY_WITH_TIMEOUT(driver.connectionBanner().contains("Not connected"), kLimit);
        QCOMPARE(driver.workers().rowCount(), 4);
        QVERIFY(!driver.trigger("cycleAllAction"));
        QTRY_VERIFY_WITH_TIMEOUT(driver.child<QLabel>("livenessLabel").text().contains("stale"), kLimit);
        QVERIFY(driver.child<QTableView>("workersTable").property("stale").toBool());

        fixture.agent().open();
        QTRY_COMPARE_WITH_TIMEOUT(driver.connectionBanner(), QString(), kLimit);
        QTRY_VERIFY_WITH_TIMEOUT(driver.child<QLabel>("livenessLabel").text().contains("live"), kLimit);
        QTRY_VERIFY_WITH_TIMEOUT(driver.window().findChild<QAction*>("cycleAllAction")->isEnabled(), kLimit);
        const auto& history = driver.window().currentAgent()->store().history();
        const auto line =
            history.rateSeries(history.instruments("http_requests_total"), console::Selection::group(),
                               history.last(std::chrono::minutes(10)), 600);
        QVERIFY(
            std::all_of(line.begin(), line.end(), [](const auto& point) { return point.value.has_value(); }));
    }

    void what_the_agent_left_out_is_a_gap() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        const auto& history = driver.window().currentAgent()->store().history();
        QTRY_VERIFY_WITH_TIMEOUT(history.latest() && !history.latest()->absolute, kLimit);
        fixture.agent().skipTicks(5);
        const auto hasGap = [&] {
            const auto line =
                history.rateSeries(history.instruments("http_requests_total"), console::Selection::group(),
                                   history.last(std::chrono::minutes(10)), 600);
            return std::any_of(line.begin(), line.end(), [](const auto& point) { return !point.value; });
        };
        QTRY_VERIFY_WITH_TIMEOUT(hasGap(), kLimit);
    }

    void the_pointer_over_a_chart_names_an_instant() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        fixture.driver().window().refreshNow();
        auto& chart = fixture.driver().child<console::TimeChart>("latencyChart");
        QSignalSpy hovered(&chart, &console::TimeChart::hovered);
        auto* viewport = chart.findChild<QGraphicsView*>()->viewport();
        const QPointF middle(viewport->width() / 2.0, viewport->height() / 2.0);
        QMouseEvent move(QEvent::MouseMove, middle, viewport->mapToGlobal(middle), Qt::NoButton, Qt::NoButton,
                         Qt::NoModifier);
        QCoreApplication::sendEvent(viewport, &move);
        QCOMPARE(hovered.count(), 1);
        const auto time = hovered.front().front().value<std::optional<console::WallTime>>();
        const auto range =
            fixture.driver().window().currentAgent()->store().history().last(std::chrono::minutes(5));
        QVERIFY(time && *time > range.from && *time <= range.to);
        QVERIFY(!fixture.driver().window().grab().isNull());
    }

    void pausing_holds_the_figures_still() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        QVERIFY(driver.trigger("pauseAction"));
        QTRY_VERIFY_WITH_TIMEOUT(driver.child<QLabel>("livenessLabel").text().contains("paused"), kLimit);
        QVERIFY(driver.trigger("pauseAction"));
        QTRY_VERIFY_WITH_TIMEOUT(driver.child<QLabel>("livenessLabel").text().contains("live"), kLimit);
    }

    void an_agent_that_is_not_there_is_said_so() {
        WindowDriver driver;
        driver.window().connectTo(
            {.url = "unix:/nonexistent/agent.sock", .authority = {}, .certificate = {}, .key = {}});
        QTRY_VERIFY_WITH_TIMEOUT(driver.connectionBanner().contains("Not connected"), kLimit);
    }

    void a_url_that_makes_no_sense_is_said_so() {
        WindowDriver driver;
        driver.window().connectTo({.url = "gopher://x", .authority = {}, .certificate = {}, .key = {}});
        QTRY_VERIFY_WITH_TIMEOUT(driver.connectionBanner().contains("Cannot connect"), kLimit);
    }

    void many_agents_share_one_tree() {
        Fixture fixture;
        QTemporaryDir other;
        SyntheticAgent second(other.filePath("b.sock").toStdString(),
                              {.workers = 2, .host = "mx2.example.net"});
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        driver.window().connectTo(
            {.url = QString::fromStdString(second.url()), .authority = {}, .certificate = {}, .key = {}});
        QTRY_COMPARE_WITH_TIMEOUT(driver.workers().rowCount(), 2, kLimit);
        QCOMPARE(driver.child<QTreeView>("fleetTree").model()->rowCount(), 2);
        QVERIFY(fixture.connect());  // shows the first again rather than adding it twice
        QCOMPARE(driver.workers().rowCount(), 4);
        QVERIFY(driver.trigger("disconnectAction"));
        QCOMPARE(driver.child<QTreeView>("fleetTree").model()->rowCount(), 1);
        QVERIFY(driver.trigger("disconnectAction"));
        QVERIFY(driver.child<QWidget>("welcomePage").isVisible());
    }

    void both_themes_and_all_views_can_be_drawn() {
        Fixture fixture;
        QVERIFY(fixture.connect());
        auto& driver = fixture.driver();
        for (const auto choice : {console::Theme::Choice::dark, console::Theme::Choice::light}) {
            driver.theme().apply(choice);
            for (const auto view : {console::MainWindow::View::workers, console::MainWindow::View::events,
                                    console::MainWindow::View::overview}) {
                driver.window().showView(view);
                QVERIFY(!driver.window().grab().isNull());
            }
        }
    }
};

QTEST_MAIN(TestMainWindow)
#include "test_main_window.moc"
