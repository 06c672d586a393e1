//! The live view.

use std::{iter, time::Duration};

use ratatui::{
    Frame,
    crossterm::event::{self, Event, KeyCode, KeyEventKind},
    layout::{Constraint, Layout},
    style::Stylize as _,
    text::Line,
    widgets::{Block, Paragraph},
};
use tokio::time::sleep;

use super::{Seen, look, view::View};
use crate::{failure::Failure, session::Session};

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
    let block = Block::bordered()
        .title(" Tidegate ")
        .title_bottom(" q leaves ");
    frame.render_widget(Paragraph::new(view.words().trim()).block(block), words);
    let text = view.table().text();
    // The heads come first, and then a line for each replica.
    let serve = view.replicas.iter().map(|replica| replica.is_serving);
    let serve = iter::once(true).chain(serve).chain(iter::repeat(true));
    let lines = text.lines().zip(serve).map(|(line, serves)| match serves {
        true => Line::from(line),
        false => Line::from(line).red(),
    });
    let block = Block::bordered().title(" Replicas ");
    let lines: Vec<_> = lines.collect();
    frame.render_widget(Paragraph::new(lines).block(block), table);
}
