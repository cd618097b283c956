#include "console/views/shortcuts_dialog.hpp"

#include <QDialogButtonBox>
#include <QGridLayout>
#include <QLabel>
#include <QVBoxLayout>

namespace signalbox::console {

ShortcutsDialog::ShortcutsDialog(const QList<QAction*>& actions, QWidget* parent) : QDialog(parent) {
    setObjectName(QStringLiteral("shortcutsDialog"));
    setWindowTitle(tr("Keyboard shortcuts"));
    setAttribute(Qt::WA_DeleteOnClose);
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(32);
    grid->setVerticalSpacing(6);
    int row = 0;
    const auto add = [&](const QString& keys, const QString& what) {
        auto* keysLabel = new QLabel(keys);
        keysLabel->setProperty("role", "panelTitle");
        grid->addWidget(keysLabel, row, 0);
        grid->addWidget(new QLabel(what), row, 1);
        ++row;
    };
    for (const auto* action : actions) {
        if (action->shortcut().isEmpty()) continue;
        QString what = action->text();
        what.remove(u'&');
        while (what.endsWith(QChar(0x2026)))
            what.chop(1);
        add(action->shortcut().toString(QKeySequence::NativeText), what);
    }
    add(tr("Tab, Shift+Tab"), tr("Next, previous part of the window"));
    add(tr("↑ ↓"), tr("Choose a worker in the tree or the table"));
    auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
    connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(20, 18, 20, 16);
    layout->setSpacing(14);
    layout->addLayout(grid);
    layout->addWidget(buttons);
}

}  // namespace signalbox::console
