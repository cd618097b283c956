#include "console/models/worker_model.hpp"

#include <algorithm>
#include <numeric>

#include "console/models/roles.hpp"
#include "console/models/sorted_merge.hpp"
#include "console/models/text.hpp"
#include "console/models/units.hpp"
#include "console/models/worker_light.hpp"

namespace signalbox::console {
namespace {

std::uint64_t queued(const wire::Worker& worker) {
    return std::accumulate(worker.queues.begin(), worker.queues.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const auto& queue) { return sum + queue.depth; });
}

auto keyOf(const wire::Worker& worker) {
    return std::pair(worker.slot, worker.generation);
}

struct Heading {
    const char* title;
    const char* meaning;
};
constexpr Heading kHeadings[WorkerModel::ColumnCount] = {
    {QT_TRANSLATE_NOOP("WorkerModel", "Slot"),
     QT_TRANSLATE_NOOP("WorkerModel", "Position in the group; survives replacement")},
    {QT_TRANSLATE_NOOP("WorkerModel", "State"),
     QT_TRANSLATE_NOOP("WorkerModel", "What the process is doing with its listeners")},
    {QT_TRANSLATE_NOOP("WorkerModel", "PID"),
     QT_TRANSLATE_NOOP("WorkerModel", "Process id on the server's host")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Gen"),
     QT_TRANSLATE_NOOP("WorkerModel", "Generation: names this very process, unique in the group's life")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Uptime"),
     QT_TRANSLATE_NOOP("WorkerModel", "Since the process started")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Req/s"),
     QT_TRANSLATE_NOOP("WorkerModel", "Requests per second, last 10 s")},
    {QT_TRANSLATE_NOOP("WorkerModel", "p99"),
     QT_TRANSLATE_NOOP("WorkerModel", "99 % of the requests of the last 10 s took at most this long")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Queue"),
     QT_TRANSLATE_NOOP("WorkerModel", "Accepted connections that wait to be served")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Conns"), QT_TRANSLATE_NOOP("WorkerModel", "Open connections")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Memory"), QT_TRANSLATE_NOOP("WorkerModel", "Resident memory")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Files"), QT_TRANSLATE_NOOP("WorkerModel", "Open files")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Beat"),
     QT_TRANSLATE_NOOP("WorkerModel", "Age of the event loop's last heartbeat")},
    {QT_TRANSLATE_NOOP("WorkerModel", "Activity"),
     QT_TRANSLATE_NOOP("WorkerModel", "What it is at, or was when it stopped, and for how long")},
};

}  // namespace

WorkerModel::WorkerModel(const AgentStore& store, QObject* parent)
    : QAbstractTableModel(parent), store_(store) {
    connect(&store, &AgentStore::ticked, this, &WorkerModel::refresh);
    connect(&store, &AgentStore::stateChanged, this, [this] {
        if (!rows_.empty()) Q_EMIT dataChanged(index(0, State), index(rowCount() - 1, State));
    });
    refresh();
}

int WorkerModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int WorkerModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : ColumnCount;
}

WorkerModel::Row WorkerModel::rowOf(const wire::Worker& worker) const {
    const auto& history = store_.history();
    const auto range = history.last(kWindow);
    const auto process = Selection::process(worker.generation);
    Row row{.worker = worker, .at = range.to, .requestRate = {}, .p99 = {}};
    if (const auto requests = history.instruments("http_requests_total"); !requests.empty())
        row.requestRate = history.rate(requests, process, range);
    row.p99 =
        history.merged(history.instruments("http_request_duration_seconds"), process, range).quantile(0.99);
    return row;
}

void WorkerModel::refresh() {
    std::vector<wire::Worker> workers;
    if (const auto* tick = store_.history().latest()) workers = tick->workers;
    std::sort(workers.begin(), workers.end(),
              [](const auto& a, const auto& b) { return keyOf(a) < keyOf(b); });
    workers.erase(std::unique(workers.begin(), workers.end(),
                              [](const auto& a, const auto& b) { return keyOf(a) == keyOf(b); }),
                  workers.end());
    mergeSorted(
        rows_, workers, [](const Row& row) { return keyOf(row.worker); },
        [](const wire::Worker& worker) { return keyOf(worker); },
        [this](int row, const wire::Worker& worker) {
            beginInsertRows({}, row, row);
            rows_.insert(rows_.begin() + row, rowOf(worker));
            endInsertRows();
        },
        [this](int row) {
            beginRemoveRows({}, row, row);
            rows_.erase(rows_.begin() + row);
            endRemoveRows();
        },
        [this](int row, const wire::Worker& worker) {
            rows_[static_cast<std::size_t>(row)] = rowOf(worker);
            Q_EMIT dataChanged(index(row, 0), index(row, ColumnCount - 1));
        });
}

QString WorkerModel::text(const Row& row, int column) const {
    const auto& worker = row.worker;
    const bool alive = worker.state != wire::WorkerState::dead;
    switch (column) {
        case Slot:
            return QString::number(worker.slot);
        case State:
            return stateName(worker.state);
        case Pid:
            return QString::number(worker.pid);
        case Generation:
            return QString::number(worker.generation);
        case Uptime:
            return alive ? age(row.at - worker.started) : missing();
        case Requests:
            return row.requestRate && alive ? count(*row.requestRate) : missing();
        case P99:
            return orMissing(row.p99, seconds);
        case Queue:
            return count(static_cast<double>(queued(worker)));
        case Connections:
            return count(worker.connections);
        case Memory:
            return alive ? bytes(static_cast<double>(worker.resident_bytes)) : missing();
        case OpenFiles:
            return count(worker.open_files);
        case Heartbeat:
            return alive ? age(worker.heartbeat_age) : missing();
        case Activity:
            if (worker.activity.empty()) return tr("idle");
            return QStringLiteral("%1 · %2").arg(age(worker.activity_age), shown(worker.activity));
        default:
            return {};
    }
}

QVariant WorkerModel::number(const Row& row, int column) const {
    const auto& worker = row.worker;
    switch (column) {
        case Slot:
            return worker.slot;
        case State:
            return static_cast<int>(worker.state);
        case Pid:
            return worker.pid;
        case Generation:
            return static_cast<qulonglong>(worker.generation);
        case Uptime:
            return static_cast<qlonglong>((row.at - worker.started).count());
        case Requests:
            return row.requestRate.value_or(-1);
        case P99:
            return row.p99.value_or(-1);
        case Queue:
            return static_cast<qulonglong>(queued(worker));
        case Connections:
            return worker.connections;
        case Memory:
            return static_cast<qulonglong>(worker.resident_bytes);
        case OpenFiles:
            return worker.open_files;
        case Heartbeat:
            return static_cast<qlonglong>(worker.heartbeat_age.count());
        case Activity:
            return shown(worker.activity);
        default:
            return {};
    }
}

QVariant WorkerModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const Row& row = rows_[static_cast<std::size_t>(index.row())];
    const int column = index.column();
    switch (role) {
        case Qt::DisplayRole:
            return text(row, column);
        case Qt::TextAlignmentRole:
            return QVariant((column == State || column == Activity ? Qt::AlignLeft : Qt::AlignRight) |
                            Qt::AlignVCenter);
        case Qt::ToolTipRole:
            if (column == State) return plainToolTip(stateMeaning(row.worker.state));
            if (column == Activity) return plainToolTip(text(row, column));
            return {};
        case SortRole:
            return number(row, column);
        case SlotRole:
            return row.worker.slot;
        case GenerationRole:
            return static_cast<qulonglong>(row.worker.generation);
        case LightRole:
            if (column != State) return {};
            // What a worker's state is now, nobody knows while disconnected.
            return static_cast<int>(store_.connected() ? lightOf(row.worker.state) : Light::off);
        default:
            return {};
    }
}

QVariant WorkerModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal || section < 0 || section >= ColumnCount) return {};
    if (role == Qt::DisplayRole) return tr(kHeadings[section].title);
    if (role == Qt::ToolTipRole) return plainToolTip(tr(kHeadings[section].meaning));
    if (role == Qt::TextAlignmentRole)
        return QVariant((section == State || section == Activity ? Qt::AlignLeft : Qt::AlignRight) |
                        Qt::AlignVCenter);
    return {};
}

}  // namespace signalbox::console
