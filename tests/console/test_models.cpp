// The models keep the contract of QAbstractItemModel, and rows come and go without a reset.
#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QSortFilterProxyModel>
#include <QTest>

#include "console/models/action_text.hpp"
#include "console/models/event_model.hpp"
#include "console/models/fleet_model.hpp"
#include "console/models/roles.hpp"
#include "console/models/worker_model.hpp"
#include "tests/console/fakeagent/synthetic_group.hpp"

using namespace signalbox;
using namespace signalbox::console;
using namespace std::chrono_literals;

namespace {

const WallTime kStart{std::chrono::seconds(1'700'000'000)};

void feed(AgentStore& store, test::SyntheticGroup& group, int ticks = 1) {
    for (int i = 0; i < ticks; ++i)
        store.addTick(std::make_shared<wire::Tick>(group.next(1s)));
    store.addEvents(std::make_shared<wire::Events>(group.takeEvents()));
}

EventsPtr eventsOf(std::vector<wire::Event> events) {
    return std::make_shared<wire::Events>(wire::Events{0, std::move(events)});
}

wire::Event happening(int number, wire::Severity severity = wire::Severity::info, std::uint32_t slot = 0) {
    return {.sequence = static_cast<std::uint64_t>(number),
            .time = kStart + std::chrono::seconds(number),
            .severity = severity,
            .slot = slot,
            .generation = 1,
            .pid = 1,
            .name = "event_" + std::to_string(number),
            .text = "text " + std::to_string(number)};
}

constexpr auto kFatal = QAbstractItemModelTester::FailureReportingMode::QtTest;

}  // namespace

class TestModels : public QObject {
    Q_OBJECT
private Q_SLOTS:
    void workers_come_and_go_as_rows() {
        test::SyntheticGroup group(3, kStart);
        AgentStore store;
        store.addDirectory(std::make_shared<wire::Directory>(group.directory()));
        WorkerModel model(store);
        QAbstractItemModelTester tester(&model, kFatal);
        QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
        QSignalSpy removed(&model, &QAbstractItemModel::rowsRemoved);
        feed(store, group);
        QCOMPARE(model.rowCount(), 3);
        const QPersistentModelIndex last = model.index(2, WorkerModel::Pid);
        const auto pid = last.data();

        group.cycle(1);
        feed(store, group);
        QCOMPARE(model.rowCount(), 4);  // the successor is beside the one that it replaces
        QCOMPARE(last.row(), 3);
        QCOMPARE(last.data(), pid);
        feed(store, group, 12);
        QCOMPARE(model.rowCount(), 3);
        QCOMPARE(removed.count(), 1);
        QCOMPARE(resets.count(), 0);
    }

    void worker_cells_are_readable_and_sort_by_number() {
        test::SyntheticGroup group(12, kStart);
        AgentStore store;
        store.addDirectory(std::make_shared<wire::Directory>(group.directory()));
        feed(store, group, 15);
        WorkerModel model(store);
        const auto cell = [&](int column) {
            return model.index(0, column).data().toString().replace(QChar(0x00A0), u' ');
        };
        QCOMPARE(cell(WorkerModel::State), "ready");
        QVERIFY(cell(WorkerModel::Memory).endsWith("MiB"));
        QVERIFY(cell(WorkerModel::P99).endsWith("ms"));
        QVERIFY(model.index(0, WorkerModel::Requests).data(SortRole).toDouble() > 100);
        const auto alignment =
            Qt::Alignment(model.index(0, WorkerModel::Memory).data(Qt::TextAlignmentRole).toInt());
        QVERIFY(alignment & Qt::AlignRight);

        QSortFilterProxyModel sorted;
        sorted.setSourceModel(&model);
        sorted.setSortRole(SortRole);
        sorted.sort(WorkerModel::Slot, Qt::DescendingOrder);
        QCOMPARE(sorted.index(0, WorkerModel::Slot).data().toString(), "11");
        QCOMPARE(sorted.index(2, WorkerModel::Slot).data().toString(), "9");
    }

    void what_a_worker_is_at_is_shown_as_text() {
        test::SyntheticGroup group(1, kStart);
        auto tick = group.next(1s);
        tick.workers.front().activity = "GET /<b>\n\x1b[2J";
        AgentStore store;
        store.addTick(std::make_shared<wire::Tick>(tick));
        WorkerModel model(store);
        const auto index = model.index(0, WorkerModel::Activity);
        QVERIFY(!index.data().toString().contains(QChar(0x1b)));
        QVERIFY(!index.data().toString().contains(u'\n'));
        QVERIFY(index.data(Qt::ToolTipRole).toString().contains(QStringLiteral("&lt;b&gt;")));
    }

    void events_are_appended_and_the_oldest_leave() {
        AgentStore store;
        EventModel model(store);
        QAbstractItemModelTester tester(&model, kFatal);
        QSignalSpy resets(&model, &QAbstractItemModel::modelReset);
        store.addEvents(eventsOf({happening(1), happening(2)}));
        QCOMPARE(model.rowCount(), 2);
        std::vector<wire::Event> many;
        for (int i = 3; i <= static_cast<int>(AgentStore::kMostEvents) + 1; ++i)
            many.push_back(happening(i));
        store.addEvents(eventsOf(many));
        QCOMPARE(model.rowCount(), static_cast<int>(AgentStore::kMostEvents));
        QCOMPARE(model.index(0, EventModel::Name).data().toString(), "event_2");
        QCOMPARE(resets.count(), 0);
    }

    void how_an_action_ended_is_told_in_words() {
        AgentStore store;
        EventModel model(store);
        wire::Event charge = happening(1, wire::Severity::warning);
        charge.name = "charge";
        charge.text = "declined";
        charge.kind = wire::EventKind::failure;
        charge.duration = 12300us;
        charge.fields = {{"customer", std::string("c\x1b[31m")}};
        store.addEvents(eventsOf({charge}));
        const QString text = model.index(0, EventModel::Text).data().toString();
        QVERIFY2(text.startsWith("charge failed after 12.3 ms: declined (customer=c"), qPrintable(text));
        QVERIFY(!text.contains(QChar(0x1b)));
    }

    void a_batch_as_long_as_the_list_replaces_it() {
        AgentStore store;
        EventModel model(store);
        QAbstractItemModelTester tester(&model, kFatal);
        store.addEvents(eventsOf({happening(1)}));
        std::vector<wire::Event> many;
        for (int i = 2; i <= static_cast<int>(AgentStore::kMostEvents) + 300; ++i)
            many.push_back(happening(i));
        store.addEvents(eventsOf(many));
        QCOMPARE(model.rowCount(), static_cast<int>(AgentStore::kMostEvents));
        QCOMPARE(model.index(model.rowCount() - 1, EventModel::Name).data().toString(),
                 QStringLiteral("event_%1").arg(many.size() + 1));
    }

    void events_are_filtered_and_newest_first() {
        AgentStore store;
        EventModel model(store);
        EventFilter filter;
        filter.setSourceModel(&model);
        QAbstractItemModelTester tester(&filter, kFatal);
        store.addEvents(eventsOf(
            {happening(1), happening(2, wire::Severity::error), happening(3, wire::Severity::warning, 7)}));
        store.addEvents(eventsOf({happening(4)}));
        const auto name = [&](int row) { return filter.index(row, EventModel::Name).data().toString(); };
        QCOMPARE(name(0), "event_4");
        QCOMPARE(name(3), "event_1");
        filter.setLeastSeverity(wire::Severity::warning);
        QCOMPARE(filter.rowCount(), 2);
        filter.setLeastSeverity(wire::Severity::debug);
        filter.setText("TEXT 2");
        QCOMPARE(filter.rowCount(), 1);
        QCOMPARE(name(0), "event_2");
    }

    void the_fleet_is_a_tree_of_agents_groups_and_workers() {
        FleetModel fleet;
        QAbstractItemModelTester tester(&fleet, kFatal);
        QSignalSpy resets(&fleet, &QAbstractItemModel::modelReset);
        Agent one({.url = "unix:/one", .authority = {}, .certificate = {}, .key = {}});
        Agent two({.url = "unix:/two", .authority = {}, .certificate = {}, .key = {}});
        fleet.add(one);
        fleet.add(two);
        QCOMPARE(fleet.rowCount(), 2);
        QCOMPARE(fleet.indexOf(one).data().toString(), "unix:/one");

        test::SyntheticGroup group(4, kStart);
        two.store().setHello({.group = "mailroom",
                              .host = "mx1",
                              .version = {},
                              .bootId = "b",
                              .arbiterPid = 1,
                              .agentPid = 2,
                              .mayAct = true});
        two.store().setState(ConnectionState::connected, {});
        feed(two.store(), group);
        const auto groupIndex = fleet.groupIndexOf(two);
        QCOMPARE(fleet.rowCount(groupIndex), 4);
        QCOMPARE(groupIndex.data().toString(), QStringLiteral("mailroom · 4/4 ready"));
        QCOMPARE(groupIndex.data(LightRole).toInt(), static_cast<int>(Light::ready));
        QCOMPARE(fleet.agentOf(fleet.index(2, 0, groupIndex)), &two);
        QCOMPARE(fleet.index(2, 0, groupIndex).data(SlotRole).toUInt(), 2u);

        group.setState(2, wire::WorkerState::stalled);
        feed(two.store(), group);
        QCOMPARE(fleet.index(2, 0, groupIndex).data(LightRole).toInt(), static_cast<int>(Light::stalled));
        QCOMPARE(groupIndex.data(LightRole).toInt(), static_cast<int>(Light::warning));
        group.setState(2, wire::WorkerState::ready);
        group.cycle(1);
        feed(two.store(), group);
        QCOMPARE(fleet.rowCount(groupIndex), 5);
        feed(two.store(), group, 12);
        QCOMPARE(fleet.rowCount(groupIndex), 4);
        fleet.remove(one);
        QCOMPARE(fleet.rowCount(), 1);
        QCOMPARE(fleet.rowCount(fleet.groupIndexOf(two)), 4);
        QCOMPARE(resets.count(), 0);
    }

    void lights_go_out_while_disconnected() {
        FleetModel fleet;
        Agent agent({.url = "unix:/one", .authority = {}, .certificate = {}, .key = {}});
        fleet.add(agent);
        test::SyntheticGroup group(2, kStart);
        agent.store().setState(ConnectionState::connected, {});
        feed(agent.store(), group);
        agent.store().setState(ConnectionState::waiting, "the agent closed the connection");
        QCOMPARE(fleet.indexOf(agent).data(LightRole).toInt(), static_cast<int>(Light::dead));
        QCOMPARE(fleet.groupIndexOf(agent).data(LightRole).toInt(), static_cast<int>(Light::off));
        QCOMPARE(fleet.rowCount(fleet.groupIndexOf(agent)), 2);  // what was known stays
    }

    void a_confirmation_names_the_process() {
        Agent agent({.url = "unix:/one", .authority = {}, .certificate = {}, .key = {}});
        test::SyntheticGroup group(2, kStart);
        feed(agent.store(), group);
        const auto* worker = agent.store().worker(1);
        const auto text = cycleWorkerText(agent, *worker);
        QVERIFY(text.explanation.contains(QString::number(worker->pid)));
        QVERIFY(text.explanation.contains(QStringLiteral("generation %1").arg(worker->generation)));
        QVERIFY(scaleText(agent, 5).explanation.contains("from 2 to 5"));
        QVERIFY(scaleText(agent, 5).explanation.contains("3 more workers"));
        QVERIFY(scaleText(agent, 1).explanation.contains("1 worker will stop"));
    }
};

QTEST_GUILESS_MAIN(TestModels)
#include "test_models.moc"
