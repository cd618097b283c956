#include "console/views/workers_view.hpp"

#include <QHeaderView>
#include <QStyle>
#include <QTableView>
#include <QVBoxLayout>

#include "console/models/roles.hpp"
#include "console/views/state_light.hpp"

namespace signalbox::console {
namespace {

/// What a column must hold without moving as numbers change.
constexpr const char* kWidest[WorkerModel::ColumnCount] = {
    "Slot",  "draining", "4194304",  "100000", "23 h 59 min", "100,000", "100.0 ms",
    "1,000", "100,000",  "1000 MiB", "10,000", "100.0 ms",    ""};

}  // namespace

WorkersView::WorkersView(const Theme& theme, QWidget* parent)
    : QFrame(parent), table_(new QTableView), sorted_(new QSortFilterProxyModel(this)) {
    setProperty("role", "panel");
    sorted_->setSortRole(SortRole);
    table_->setObjectName(QStringLiteral("workersTable"));
    table_->setAccessibleName(tr("Workers"));
    // When the chosen row goes, the view chooses a neighbour, which nobody asked for. Connected before the
    // view is.
    connect(sorted_, &QAbstractItemModel::rowsAboutToBeRemoved, this, [this] { selecting_ = true; });
    table_->setModel(sorted_);
    connect(sorted_, &QAbstractItemModel::rowsRemoved, this, [this] { select(slot_); });
    table_->setItemDelegate(new LightDelegate(theme, table_));
    table_->setSelectionBehavior(QAbstractItemView::SelectRows);
    table_->setSelectionMode(QAbstractItemView::SingleSelection);
    table_->setSortingEnabled(true);
    table_->sortByColumn(WorkerModel::Slot, Qt::AscendingOrder);
    table_->setAlternatingRowColors(true);
    table_->setShowGrid(false);
    table_->setWordWrap(false);
    table_->setTabKeyNavigation(false);
    table_->setContextMenuPolicy(Qt::ActionsContextMenu);
    table_->verticalHeader()->hide();
    table_->horizontalHeader()->setHighlightSections(false);
    table_->horizontalHeader()->setStretchLastSection(true);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(1, 1, 1, 1);
    layout->addWidget(table_);
    connect(table_->selectionModel(), &QItemSelectionModel::selectionChanged, this, [this] {
        if (selecting_) return;
        const auto rows = table_->selectionModel()->selectedRows();
        if (!rows.isEmpty()) Q_EMIT slotChosen(rows.front().data(SlotRole).toUInt());
    });
    connect(&theme, &Theme::changed, this, &WorkersView::fitColumns);
}

void WorkersView::setAgent(Agent* agent) {
    selecting_ = true;
    sorted_->setSourceModel(agent ? &agent->workers() : nullptr);
    selecting_ = false;
    fitColumns();
}

void WorkersView::fitColumns() {
    if (!sorted_->sourceModel()) return;
    const QFontMetrics metrics(table_->font());
    table_->verticalHeader()->setDefaultSectionSize(metrics.height() + 8);
    for (int column = 0; column < WorkerModel::Activity; ++column) {
        const QString title = sorted_->headerData(column, Qt::Horizontal).toString();
        // The heading keeps room for the sort arrow.
        const int heading = metrics.horizontalAdvance(title) + 30;
        const int light = column == WorkerModel::State ? metrics.ascent() + 6 : 0;
        const int cell = metrics.horizontalAdvance(QLatin1String(kWidest[column])) + light + 22;
        table_->setColumnWidth(column, std::max(heading, cell));
    }
}

void WorkersView::select(std::optional<std::uint32_t> slot) {
    slot_ = slot;
    selecting_ = true;
    if (!slot) {
        table_->clearSelection();
    } else {
        const auto rows = table_->selectionModel()->selectedRows();
        if (rows.isEmpty() || rows.front().data(SlotRole).toUInt() != *slot)
            for (int row = 0; row < sorted_->rowCount(); ++row)
                if (sorted_->index(row, 0).data(SlotRole).toUInt() == *slot) {
                    table_->selectRow(row);
                    break;
                }
    }
    selecting_ = false;
}

void WorkersView::setStale(bool stale) {
    if (table_->property("stale").toBool() == stale) return;
    table_->setProperty("stale", stale);
    table_->style()->unpolish(table_);
    table_->style()->polish(table_);
}

}  // namespace signalbox::console
