#include "console/views/welcome_page.hpp"

#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include "console/models/text.hpp"
#include "console/views/icons.hpp"
#include "console/views/recent_connections.hpp"

namespace signalbox::console {

WelcomePage::WelcomePage(QWidget* parent) : QWidget(parent), recent_(new QVBoxLayout) {
    setObjectName(QStringLiteral("welcomePage"));
    auto* logo = new QLabel;
    logo->setPixmap(applicationIcon().pixmap(QSize(72, 72), devicePixelRatioF()));
    auto* heading = new QLabel(tr("Signalbox"));
    heading->setProperty("role", "heading");
    QFont large = heading->font();
    large.setPointSizeF(large.pointSizeF() * 2);
    heading->setFont(large);
    auto* explanation =
        new QLabel(tr("See what every worker of a server is doing, live, and act on them.\n"
                      "Connect to the agent of a group to begin."));
    explanation->setProperty("role", "muted");
    explanation->setAlignment(Qt::AlignCenter);
    auto* connectButton = new QPushButton(tr("&Connect to an agent…"));
    connectButton->setObjectName(QStringLiteral("welcomeConnect"));
    connectButton->setProperty("role", "primary");
    setFocusProxy(connectButton);
    connect(connectButton, &QPushButton::clicked, this, &WelcomePage::connectRequested);
    recent_->setSpacing(2);

    auto* layout = new QVBoxLayout(this);
    layout->setSpacing(14);
    layout->addStretch(2);
    layout->addWidget(logo, 0, Qt::AlignHCenter);
    layout->addWidget(heading, 0, Qt::AlignHCenter);
    layout->addWidget(explanation, 0, Qt::AlignHCenter);
    layout->addWidget(connectButton, 0, Qt::AlignHCenter);
    layout->addSpacing(10);
    layout->addLayout(recent_);
    layout->addStretch(3);
    refreshRecent();
}

void WelcomePage::refreshRecent() {
    while (auto* item = recent_->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    const auto recent = recentConnections::load();
    if (recent.isEmpty()) return;
    auto* title = new QLabel(tr("Recent"));
    title->setProperty("role", "panelTitle");
    recent_->addWidget(title, 0, Qt::AlignHCenter);
    for (const auto& settings : recent) {
        auto* button = new QPushButton(withoutMnemonics(shown(settings.url, 80)));
        button->setProperty("role", "link");
        connect(button, &QPushButton::clicked, this, [this, settings] { Q_EMIT recentChosen(settings); });
        recent_->addWidget(button, 0, Qt::AlignHCenter);
    }
}

}  // namespace signalbox::console
