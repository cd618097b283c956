#include "console/models/fleet_model.hpp"

#include <algorithm>

#include "console/models/sorted_merge.hpp"
#include "console/models/text.hpp"
#include "console/models/units.hpp"
#include "console/models/worker_light.hpp"

namespace signalbox::console {
namespace {

auto keyOf(const wire::Worker& worker) {
    return std::pair(worker.slot, worker.generation);
}

}  // namespace

FleetModel::FleetModel(QObject* parent) : QAbstractItemModel(parent) {}
FleetModel::~FleetModel() = default;

void FleetModel::add(Agent& agent) {
    const int row = static_cast<int>(agents_.size());
    auto node = std::make_unique<AgentNode>();
    auto* raw = node.get();
    *raw = {.agent = &agent,
            .self = {.kind = Node::Kind::agent, .agent = raw, .worker = {}},
            .group = {.kind = Node::Kind::group, .agent = raw, .worker = {}},
            .workers = {}};
    beginInsertRows({}, row, row);
    agents_.push_back(std::move(node));
    endInsertRows();
    refreshWorkers(*raw);
    connect(&agent.store(), &AgentStore::ticked, this, [this, raw] { refreshWorkers(*raw); });
    connect(&agent.store(), &AgentStore::stateChanged, this, [this, raw] { refreshState(*raw); });
}

void FleetModel::remove(Agent& agent) {
    auto* node = nodeOf(agent);
    if (!node) return;
    agent.store().disconnect(this);
    const int row = rowOf(*node);
    beginRemoveRows({}, row, row);
    agents_.erase(agents_.begin() + row);
    endRemoveRows();
}

void FleetModel::refreshWorkers(AgentNode& node) {
    std::vector<wire::Worker> workers;
    if (const auto* tick = node.agent->store().history().latest()) workers = tick->workers;
    std::sort(workers.begin(), workers.end(),
              [](const auto& a, const auto& b) { return keyOf(a) < keyOf(b); });
    workers.erase(std::unique(workers.begin(), workers.end(),
                              [](const auto& a, const auto& b) { return keyOf(a) == keyOf(b); }),
                  workers.end());
    const auto parent = groupIndexOf(*node.agent);
    mergeSorted(
        node.workers, workers, [](const auto& row) { return keyOf(row->worker); },
        [](const wire::Worker& worker) { return keyOf(worker); },
        [&](int row, const wire::Worker& worker) {
            beginInsertRows(parent, row, row);
            node.workers.insert(node.workers.begin() + row,
                                std::make_unique<Node>(Node{Node::Kind::worker, &node, worker}));
            endInsertRows();
        },
        [&](int row) {
            beginRemoveRows(parent, row, row);
            node.workers.erase(node.workers.begin() + row);
            endRemoveRows();
        },
        [&](int row, const wire::Worker& worker) {
            auto& shownWorker = node.workers[static_cast<std::size_t>(row)]->worker;
            const bool differs = shownWorker.state != worker.state || shownWorker.pid != worker.pid;
            shownWorker = worker;
            const auto at = index(row, 0, parent);
            if (differs) Q_EMIT dataChanged(at, at);
        });
    refreshState(node);
}

void FleetModel::refreshState(AgentNode& node) {
    const auto self = indexOf(*node.agent);
    const auto group = groupIndexOf(*node.agent);
    Q_EMIT dataChanged(self, self);
    Q_EMIT dataChanged(group, group);
}

FleetModel::AgentNode* FleetModel::nodeOf(const Agent& agent) const {
    for (const auto& node : agents_)
        if (node->agent == &agent) return node.get();
    return nullptr;
}

int FleetModel::rowOf(const AgentNode& node) const {
    const auto found =
        std::find_if(agents_.begin(), agents_.end(), [&](const auto& a) { return a.get() == &node; });
    return static_cast<int>(found - agents_.begin());
}

QModelIndex FleetModel::indexOf(const Agent& agent) const {
    auto* node = nodeOf(agent);
    return node ? createIndex(rowOf(*node), 0, &node->self) : QModelIndex();
}

QModelIndex FleetModel::groupIndexOf(const Agent& agent) const {
    auto* node = nodeOf(agent);
    return node ? createIndex(0, 0, &node->group) : QModelIndex();
}

QModelIndex FleetModel::workerIndexOf(const Agent& agent, std::uint32_t slot,
                                      std::uint64_t generation) const {
    auto* node = nodeOf(agent);
    if (!node) return {};
    for (std::size_t i = 0; i < node->workers.size(); ++i)
        if (keyOf(node->workers[i]->worker) == std::pair(slot, generation))
            return createIndex(static_cast<int>(i), 0, node->workers[i].get());
    return {};
}

Agent* FleetModel::agentOf(const QModelIndex& index) const {
    return index.isValid() ? nodeAt(index).agent->agent : nullptr;
}

QModelIndex FleetModel::index(int row, int column, const QModelIndex& parent) const {
    if (!hasIndex(row, column, parent)) return {};
    if (!parent.isValid()) return createIndex(row, column, &agents_[static_cast<std::size_t>(row)]->self);
    auto& node = nodeAt(parent);
    if (node.kind == Node::Kind::agent) return createIndex(row, column, &node.agent->group);
    return createIndex(row, column, node.agent->workers[static_cast<std::size_t>(row)].get());
}

QModelIndex FleetModel::parent(const QModelIndex& child) const {
    if (!child.isValid()) return {};
    auto& node = nodeAt(child);
    switch (node.kind) {
        case Node::Kind::agent:
            return {};
        case Node::Kind::group:
            return createIndex(rowOf(*node.agent), 0, &node.agent->self);
        case Node::Kind::worker:
            return createIndex(0, 0, &node.agent->group);
    }
    return {};
}

int FleetModel::rowCount(const QModelIndex& parent) const {
    if (!parent.isValid()) return static_cast<int>(agents_.size());
    if (parent.column() != 0) return 0;
    const auto& node = nodeAt(parent);
    switch (node.kind) {
        case Node::Kind::agent:
            return 1;
        case Node::Kind::group:
            return static_cast<int>(node.agent->workers.size());
        case Node::Kind::worker:
            return 0;
    }
    return 0;
}

int FleetModel::columnCount(const QModelIndex&) const {
    return 1;
}

QString FleetModel::text(const Node& node) {
    const auto& agent = *node.agent->agent;
    const auto& store = agent.store();
    switch (node.kind) {
        case Node::Kind::agent:
            return store.hello() && !store.hello()->host.isEmpty() ? shown(store.hello()->host, 80)
                                                                   : shown(agent.url(), 120);
        case Node::Kind::group:
            if (const auto* tick = store.history().latest())
                return tr("%1 · %2/%3 ready")
                    .arg(agent.title())
                    .arg(agent.readyWorkers())
                    .arg(tick->target_workers);
            return store.hello() ? agent.title() : tr("no data yet");
        case Node::Kind::worker:
            return tr("Worker %1 · %2").arg(node.worker.slot).arg(node.worker.pid);
    }
    return {};
}

QString FleetModel::toolTip(const Node& node) {
    const auto& store = node.agent->agent->store();
    switch (node.kind) {
        case Node::Kind::agent: {
            const QString state =
                store.connected() ? tr("connected") : tr("not connected: %1").arg(shown(store.stateDetail()));
            QString text = shown(node.agent->agent->url()) + u'\n' + state;
            if (store.hello())
                text += tr("\nagent pid %1, arbiter pid %2, version %3")
                            .arg(store.hello()->agentPid)
                            .arg(store.hello()->arbiterPid)
                            .arg(shown(store.hello()->version, 80));
            return text;
        }
        case Node::Kind::group:
            if (const auto* tick = store.history().latest(); tick && tick->degraded)
                return tr("Degraded: workers crash as they start, so replacements are held back.");
            return tr("The whole group: all workers, also those that have ended.");
        case Node::Kind::worker:
            return tr("Slot %1, generation %2, pid %3\n%4: %5")
                .arg(node.worker.slot)
                .arg(node.worker.generation)
                .arg(node.worker.pid)
                .arg(stateName(node.worker.state), stateMeaning(node.worker.state));
    }
    return {};
}

Light FleetModel::light(const Node& node) {
    const auto& agent = *node.agent->agent;
    const auto& store = agent.store();
    if (node.kind == Node::Kind::agent) {
        if (store.connected()) return Light::ready;
        return store.state() == ConnectionState::connecting ? Light::starting : Light::dead;
    }
    const auto* tick = store.history().latest();
    if (!store.connected() || !tick) return Light::off;
    if (node.kind == Node::Kind::worker) return lightOf(node.worker.state);
    if (agent.readyWorkers() == 0) return Light::dead;
    const bool fewer = agent.readyWorkers() < static_cast<int>(tick->target_workers);
    return tick->degraded || fewer ? Light::warning : Light::ready;
}

QVariant FleetModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const auto& node = nodeAt(index);
    switch (role) {
        case Qt::DisplayRole:
            return text(node);
        case Qt::ToolTipRole:
            return plainToolTip(toolTip(node));
        case LightRole:
            return static_cast<int>(light(node));
        case SlotRole:
            return node.kind == Node::Kind::worker ? QVariant(node.worker.slot) : QVariant();
        case GenerationRole:
            return node.kind == Node::Kind::worker ? QVariant(static_cast<qulonglong>(node.worker.generation))
                                                   : QVariant();
        default:
            return {};
    }
}

QVariant FleetModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (section == 0 && orientation == Qt::Horizontal && role == Qt::DisplayRole) return tr("Fleet");
    return {};
}

}  // namespace signalbox::console
