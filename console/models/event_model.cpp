#include "console/models/event_model.hpp"

#include "common/wire/readable.hpp"
#include "console/models/roles.hpp"
#include "console/models/text.hpp"
#include "console/models/units.hpp"

namespace signalbox::console {
namespace {

Light lightOf(wire::Severity severity) {
    switch (severity) {
        case wire::Severity::warning:
            return Light::warning;
        case wire::Severity::error:
            return Light::dead;
        default:
            return Light::off;
    }
}

}  // namespace

EventModel::EventModel(const AgentStore& store, QObject* parent)
    : QAbstractTableModel(parent), store_(store) {
    connect(&store, &AgentStore::eventsChanged, this, &EventModel::change);
    change(0, static_cast<int>(store.events().size()));
}

EventModel::Row EventModel::rowOf(const EventRecord& record) {
    const auto& event = record.event;
    Row row{.time = event.time,
            .sequence = event.sequence,
            .severity = event.severity,
            .slot = {},
            .source = {},
            .name = shown(event.name, 80),
            .text = shown(wire::event_in_words(event))};
    if (event.slot != wire::Event::kGroup) row.slot = event.slot;
    if (record.ours)
        row.source = tr("console");
    else if (!row.slot)
        row.source = tr("arbiter");
    else
        row.source = tr("worker %1").arg(*row.slot);
    return row;
}

void EventModel::change(int removed, int added) {
    // A batch may be as long as the list: then the rows that leave are all that are here.
    const int leaving = std::min(removed, static_cast<int>(rows_.size()));
    if (leaving > 0) {
        beginRemoveRows({}, 0, leaving - 1);
        rows_.erase(rows_.begin(), rows_.begin() + leaving);
        endRemoveRows();
    }
    if (added == 0) return;
    const int first = static_cast<int>(rows_.size());
    beginInsertRows({}, first, first + added - 1);
    const auto& events = store_.events();
    for (auto record = events.end() - added; record != events.end(); ++record)
        rows_.push_back(rowOf(*record));
    endInsertRows();
}

int EventModel::rowCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int EventModel::columnCount(const QModelIndex& parent) const {
    return parent.isValid() ? 0 : ColumnCount;
}

QVariant EventModel::data(const QModelIndex& index, int role) const {
    if (!checkIndex(index, CheckIndexOption::IndexIsValid)) return {};
    const Row& row = rows_[static_cast<std::size_t>(index.row())];
    const auto text = [&]() -> QString {
        switch (index.column()) {
            case Time:
                return clockMilliseconds(row.time);
            case Severity:
                return severityName(row.severity);
            case Source:
                return row.source;
            case Name:
                return row.name;
            case Text:
                return row.text;
            default:
                return {};
        }
    };
    switch (role) {
        case Qt::DisplayRole:
            return text();
        case Qt::ToolTipRole:
            return index.column() == Text ? plainToolTip(row.text) : QString();
        case SortRole:
            if (index.column() == Time) return static_cast<qlonglong>(row.time.time_since_epoch().count());
            if (index.column() == Severity) return static_cast<int>(row.severity);
            return text();
        case SeverityRole:
            return static_cast<int>(row.severity);
        case SlotRole:
            return row.slot ? QVariant(*row.slot) : QVariant();
        case LightRole:
            return index.column() == Severity ? QVariant(static_cast<int>(lightOf(row.severity)))
                                              : QVariant();
        default:
            return {};
    }
}

QVariant EventModel::headerData(int section, Qt::Orientation orientation, int role) const {
    if (orientation != Qt::Horizontal) return {};
    if (role == Qt::TextAlignmentRole) return QVariant(Qt::AlignLeft | Qt::AlignVCenter);
    if (role != Qt::DisplayRole) return {};
    switch (section) {
        case Time:
            return tr("Time");
        case Severity:
            return tr("Severity");
        case Source:
            return tr("Source");
        case Name:
            return tr("Event");
        case Text:
            return tr("Description");
        default:
            return {};
    }
}

EventFilter::EventFilter(QObject* parent) : QSortFilterProxyModel(parent) {
    setSortRole(SortRole);
    sort(EventModel::Time, Qt::DescendingOrder);
}

void EventFilter::setLeastSeverity(wire::Severity severity) {
    least_ = severity;
    invalidateFilter();
}

void EventFilter::setText(const QString& text) {
    text_ = text;
    invalidateFilter();
}

bool EventFilter::filterAcceptsRow(int row, const QModelIndex& parent) const {
    const auto* model = sourceModel();
    const auto first = model->index(row, 0, parent);
    if (first.data(SeverityRole).toInt() < static_cast<int>(least_)) return false;
    if (text_.isEmpty()) return true;
    for (int column = 0; column < EventModel::ColumnCount; ++column)
        if (model->index(row, column, parent).data().toString().contains(text_, Qt::CaseInsensitive))
            return true;
    return false;
}

bool EventFilter::lessThan(const QModelIndex& left, const QModelIndex& right) const {
    const QVariant a = left.data(SortRole);
    const QVariant b = right.data(SortRole);
    const auto order = QVariant::compare(a, b);
    // Equal ones stay in the order in which they arrived.
    return order == QPartialOrdering::Less ||
           (order == QPartialOrdering::Equivalent && left.row() < right.row());
}

}  // namespace signalbox::console
