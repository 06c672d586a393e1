//! The live view.

use std::time::Duration;

use ratatui::{
    Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind},
    layout::{Constraint, Layout},
    style::{Style, Stylize as _},
    text::Line,
    widgets::{Block, Paragraph, Row, Table},
};
use tokio::time::sleep;

use super::{Seen, look, view::View};
use crate::{failure::Failure, session::Session};

/// How soon a key is heard.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Shows the suite until `q` is pressed. Keys are heard while the suite is looked at.
pub(super) async fn run(every: Duration, session: &Session) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(anyhow::Error::from)?;
    let mut leaving = tokio::task::spawn_blocking(until_leaving);
    let mut before: Option<Seen> = None;
    let outcome = loop {
        let after = tokio::select! {
            _ = &mut leaving => break Ok(()),
            after = look(session) => after,
        };
        let view = View::between(before.as_ref().unwrap_or(&after), &after);
        if let Err(error) = terminal.draw(|frame| draw(frame, &view)) {
            break Err(anyhow::Error::from(error).into());
        }
        before = Some(after);
        tokio::select! {
            _ = &mut leaving => break Ok(()),
            () = sleep(every) => {}
        }
    };
    ratatui::restore();
    outcome
}

/// Waits for a key that means to leave, or for the end of the terminal.
fn until_leaving() {
    while !wants_to_leave() {}
}

fn wants_to_leave() -> bool {
    if !event::poll(KEY_WAIT).unwrap_or(false) {
        return false;
    }
    match event::read() {
        Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => {
            let is_interrupt = key.modifiers.contains(event::KeyModifiers::CONTROL)
                && key.code == KeyCode::Char('c');
            is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        }
        Ok(_) => false,
        Err(_) => true,
    }
}

fn draw(frame: &mut Frame<'_>, view: &View) {
    let replicas = u16::try_from(view.replicas.len()).unwrap_or(u16::MAX);
    let [words, table] = Layout::vertical([
        Constraint::Min(6),
        Constraint::Length(replicas.saturating_add(3)),
    ])
    .areas(frame.area());
    let lines: Vec<_> = view
        .words()
        .trim()
        .lines()
        .map(|line| Line::from(line.to_owned()))
        .collect();
    let block = Block::bordered()
        .title(" Tidegate ")
        .title_bottom(" q leaves ");
    frame.render_widget(Paragraph::new(lines).block(block), words);
    let rows = view.replicas.iter().map(|replica| {
        let p99 = replica
            .p99_ms
            .map_or("-".to_owned(), |ms| format!("{ms:.1}"));
        let row = Row::new([
            replica.service.to_owned(),
            replica.address.clone(),
            if replica.is_serving {
                "serving"
            } else {
                "NOT SERVING"
            }
            .to_owned(),
            format!("{:.1}", replica.calls_per_second),
            format!("{:.1}", replica.not_ok_per_second),
            p99,
            format!("{:.0}", replica.in_flight),
        ]);
        if replica.is_serving {
            row
        } else {
            row.style(Style::new().red())
        }
    });
    let widths = [14, 24, 12, 9, 9, 9, 9].map(Constraint::Length);
    let heads = [
        "service",
        "address",
        "",
        "calls/s",
        "not OK/s",
        "p99 ms",
        "in flight",
    ];
    let table_of_replicas = Table::new(rows, widths)
        .header(Row::new(heads).bold())
        .block(Block::bordered().title(" Replicas "));
    frame.render_widget(table_of_replicas, table);
}
