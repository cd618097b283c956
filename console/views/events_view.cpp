#include "console/views/events_view.hpp"

#include <QComboBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QTableView>
#include <QVBoxLayout>

#include "console/models/text.hpp"
#include "console/models/units.hpp"
#include "console/views/state_light.hpp"

namespace signalbox::console {

EventsView::EventsView(const Theme& theme, QWidget* parent)
    : QFrame(parent),
      filter_(new EventFilter(this)),
      table_(new QTableView),
      text_(new QLineEdit),
      severity_(new QComboBox),
      count_(new QLabel) {
    setProperty("role", "panel");
    auto* title = new QLabel(tr("Events"));
    title->setProperty("role", "panelTitle");
    count_->setProperty("role", "muted");
    count_->setObjectName(QStringLiteral("eventsCount"));
    text_->setObjectName(QStringLiteral("eventsFilter"));
    text_->setPlaceholderText(tr("Filter events (Ctrl+F)"));
    text_->setAccessibleName(tr("Filter events"));
    text_->setClearButtonEnabled(true);
    text_->setMaximumWidth(260);
    severity_->setObjectName(QStringLiteral("eventsSeverity"));
    severity_->setAccessibleName(tr("Least severity"));
    severity_->addItem(tr("All severities"), static_cast<int>(wire::Severity::debug));
    severity_->addItem(tr("Info and above"), static_cast<int>(wire::Severity::info));
    severity_->addItem(tr("Warnings and errors"), static_cast<int>(wire::Severity::warning));
    severity_->addItem(tr("Errors"), static_cast<int>(wire::Severity::error));
    auto* head = new QHBoxLayout;
    head->setContentsMargins(10, 4, 6, 4);
    head->setSpacing(8);
    head->addWidget(title);
    head->addWidget(count_);
    head->addStretch(1);
    head->addWidget(text_, 1);
    head->addWidget(severity_);

    table_->setObjectName(QStringLiteral("eventsTable"));
    table_->setAccessibleName(tr("Events"));
    table_->setModel(filter_);
    table_->setItemDelegate(new LightDelegate(theme, table_));
    table_->setSelectionBehavior(QAbstractItemView::SelectRows);
    table_->setAlternatingRowColors(true);
    table_->setShowGrid(false);
    table_->setWordWrap(false);
    table_->setTabKeyNavigation(false);
    table_->verticalHeader()->hide();
    table_->horizontalHeader()->setHighlightSections(false);
    table_->horizontalHeader()->setStretchLastSection(true);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(1, 1, 1, 1);
    layout->setSpacing(0);
    layout->addLayout(head);
    layout->addWidget(table_);

    connect(text_, &QLineEdit::textChanged, filter_, &EventFilter::setText);
    connect(severity_, &QComboBox::currentIndexChanged, this, [this] {
        filter_->setLeastSeverity(static_cast<wire::Severity>(severity_->currentData().toInt()));
    });
    for (const auto signal : {&QAbstractItemModel::rowsInserted, &QAbstractItemModel::rowsRemoved})
        connect(filter_, signal, this, &EventsView::refreshCount);
    connect(filter_, &QAbstractItemModel::modelReset, this, &EventsView::refreshCount);
    connect(&theme, &Theme::changed, this, &EventsView::fitColumns);
}

void EventsView::setAgent(Agent* agent) {
    agent_ = agent;
    filter_->setSourceModel(agent ? &agent->events() : nullptr);
    fitColumns();
    refreshCount();
}

void EventsView::focusFilter() {
    text_->setFocus(Qt::ShortcutFocusReason);
    text_->selectAll();
}

void EventsView::refreshCount() {
    if (!agent_) return count_->clear();
    const int all = agent_->events().rowCount();
    const int visible = filter_->rowCount();
    QString text = visible == all ? count(all) : tr("%1 of %2").arg(count(visible), count(all));
    if (const auto lost = agent_->store().lostEvents(); lost > 0)
        text += tr(" · %1 lost before they were read").arg(count(static_cast<double>(lost)));
    count_->setText(text);
}

void EventsView::fitColumns() {
    if (!filter_->sourceModel()) return;
    const QFontMetrics metrics(table_->font());
    table_->verticalHeader()->setDefaultSectionSize(metrics.height() + 7);
    const std::pair<int, const char*> widest[] = {{EventModel::Time, "00:00:00.000"},
                                                  {EventModel::Severity, "warning"},
                                                  {EventModel::Source, "worker 1000"},
                                                  {EventModel::Name, "connections_shed_now"}};
    for (const auto& [column, text] : widest) {
        const int light = column == EventModel::Severity ? metrics.ascent() + 6 : 0;
        table_->setColumnWidth(column, metrics.horizontalAdvance(QLatin1String(text)) + light + 22);
    }
}

}  // namespace signalbox::console
