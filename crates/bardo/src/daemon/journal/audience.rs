//! Those who listen to events, to bytes and back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bardo_config::ResultHandler;
use bardo_core::{Generation, Instant, ServiceId};
use bardo_wire::listener::{Conversation, EventType, EventTypes, LengthUnit, ListenerState};

use super::codec::Unreadable::{self, Malformed, Unknown};
use super::codec::{Decoder, Encoder};
use crate::daemon::listeners::audience::{Audience, Deed, Transfer};
use crate::daemon::listeners::captures::{Captures, Message as Capture};
use crate::daemon::listeners::pool::{Letter, Message, Outgoing, Pool, PoolSpec, Talk};
use crate::daemon::listeners::pools::Pools;
use crate::daemon::pump::Channel;

type Read<T> = Result<T, Unreadable>;

pub(super) fn write(to: &mut Encoder, audience: &Audience) {
    to.frame(|to| {
        to.u64(audience.heard);
        to.option(audience.transfer, |to, transfer| {
            to.small(|to| {
                write_life(to, transfer.service, transfer.generation);
                to.u32(transfer.bytes);
                to.byte(u8::from(transfer.is_moving));
            });
        });
        let captures: Vec<_> = audience.captures.all().collect();
        to.list(&captures, |to, ((service, generation, channel), message)| {
            to.frame(|to| {
                write_life(to, *service, *generation);
                to.byte(*channel);
                to.text(&message.process);
                to.blob(&message.bytes);
            });
        });
        to.u64(audience.pools.next_serial);
        to.list(&audience.pools.slices, |to, slice| to.option(*slice, Encoder::i64));
        to.list(audience.pools.all(), write_pool);
    });
}

pub(super) fn read(from: &mut Decoder<'_>) -> Read<Audience> {
    from.frame(|from| {
        let heard = from.u64()?;
        let transfer = from.option(|from| from.small(read_transfer))?;
        let captures = from.list(|from| from.frame(read_capture))?;
        let next_serial = from.u64()?;
        let mut slices = [None; 3];
        for (slice, read) in slices.iter_mut().zip(from.list(|from| from.option(Decoder::i64))?) {
            *slice = read;
        }
        let pools = Pools::restored(next_serial, slices, from.list(read_pool)?);
        let captures = Captures::restored(captures);
        Ok(Audience { pools, captures, heard, transfer, notes: Vec::new() })
    })
}

fn read_transfer(from: &mut Decoder<'_>) -> Read<Transfer> {
    let (service, generation) = read_life(from)?;
    let (bytes, is_moving) = (from.u32()?, from.byte()? == 1);
    Ok(Transfer { service, generation, bytes, is_moving })
}

/// Which stream, and what it has said between its marks so far.
type Captured = ((ServiceId, Generation, u8), Capture);

fn read_capture(from: &mut Decoder<'_>) -> Read<Captured> {
    let (service, generation) = read_life(from)?;
    let channel = from.byte()?;
    let (process, bytes) = (from.text()?.to_owned(), from.blob()?.to_vec());
    Ok(((service, generation, channel), Capture { process, bytes }))
}

fn write_pool(to: &mut Encoder, pool: &Pool) {
    to.frame(|to| {
        write_spec(to, &pool.spec);
        to.u64(pool.next_serial);
        to.u64(pool.unsent_from);
        let queue: Vec<&Letter> = pool.queue.iter().collect();
        to.list(&queue, |to, letter| write_letter(to, letter));
        to.list(&pool.talks, write_talk);
    });
}

fn read_pool(from: &mut Decoder<'_>) -> Read<Pool> {
    from.frame(|from| {
        let (spec, serials) = (read_spec(from)?, (from.u64()?, from.u64()?));
        let queue = VecDeque::from(from.list(read_letter)?);
        let talks = from.list(read_talk)?;
        Ok(Pool::restored(spec, serials, queue, talks))
    })
}

fn write_spec(to: &mut Encoder, spec: &PoolSpec) {
    to.frame(|to| {
        to.text(&spec.name);
        to.u32(spec.wanted.to_bits());
        to.u32(spec.buffer_size);
        to.text(spec.handler.path());
        to.byte(u8::from(spec.unit == LengthUnit::Bytes));
        to.list(&spec.members, |to, (service, name)| {
            to.frame(|to| {
                to.u32(service.0);
                to.text(name);
            });
        });
    });
}

fn read_spec(from: &mut Decoder<'_>) -> Read<PoolSpec> {
    from.frame(|from| {
        Ok(PoolSpec {
            name: from.text()?.into(),
            wanted: EventTypes::from_bits(from.u32()?),
            buffer_size: from.u32()?,
            handler: ResultHandler::parse(from.text()?).ok_or(Unknown)?,
            unit: match from.byte()? {
                0 => LengthUnit::Characters,
                1 => LengthUnit::Bytes,
                _ => return Err(Unknown),
            },
            members: from
                .list(|from| from.frame(|from| Ok((from.service()?, from.text()?.into()))))?,
        })
    })
}

fn write_talk(to: &mut Encoder, talk: &Talk) {
    to.frame(|to| {
        write_life(to, talk.service, talk.generation);
        to.byte(u8::from(talk.is_running));
        to.byte(u8::from(talk.is_deaf));
        write_conversation(to, &talk.conversation);
        to.option(talk.letter.as_ref(), write_letter);
        to.option(talk.outgoing.as_ref(), |to, outgoing| {
            to.frame(|to| {
                to.text(&outgoing.header);
                write_letter(to, &outgoing.letter);
                to.u64(outgoing.sent);
            });
        });
        to.option(talk.rest_until, |to, until| to.u64(until.0));
        to.u64(u64::try_from(talk.rest.as_nanos()).unwrap_or(u64::MAX));
    });
}

fn read_talk(from: &mut Decoder<'_>) -> Read<Talk> {
    from.frame(|from| {
        let (service, generation) = read_life(from)?;
        let (is_running, is_deaf) = (from.byte()? == 1, from.byte()? == 1);
        let conversation = from.frame(read_conversation)?;
        let letter = from.option(read_letter)?;
        let outgoing = from.option(|from| from.frame(read_outgoing))?;
        let rest_until = from.option(|from| from.u64().map(Instant))?;
        let rest = Duration::from_nanos(from.u64()?);
        Ok(Talk {
            service,
            generation,
            is_running,
            is_deaf,
            conversation,
            letter,
            outgoing,
            rest_until,
            rest,
        })
    })
}

fn read_outgoing(from: &mut Decoder<'_>) -> Read<Outgoing> {
    let (header, letter) = (from.text()?.into(), read_letter(from)?);
    Ok(Outgoing { header, letter, sent: from.u64()? })
}

fn write_conversation(to: &mut Encoder, conversation: &Conversation) {
    to.frame(|to| {
        to.byte(match conversation.state {
            ListenerState::Acknowledged => 0,
            ListenerState::Ready => 1,
            ListenerState::Busy => 2,
            ListenerState::Unknown => 3,
        });
        to.blob(&conversation.heard);
        to.option(conversation.result_bytes, Encoder::length);
    });
}

fn read_conversation(from: &mut Decoder<'_>) -> Read<Conversation> {
    let state = match from.byte()? {
        0 => ListenerState::Acknowledged,
        1 => ListenerState::Ready,
        2 => ListenerState::Busy,
        3 => ListenerState::Unknown,
        _ => return Err(Unknown),
    };
    let heard = from.blob()?.to_vec();
    Ok(Conversation { state, heard, result_bytes: from.option(Decoder::length)? })
}

fn write_letter(to: &mut Encoder, letter: &Letter) {
    to.frame(|to| {
        to.u64(letter.pool_serial);
        to.shared(&letter.message, |to, message| {
            to.frame(|to| {
                to.u64(message.serial);
                to.byte(message.event.number());
                to.text(&message.payload);
            });
        });
    });
}

fn read_letter(from: &mut Decoder<'_>) -> Read<Letter> {
    from.frame(|from| {
        let pool_serial = from.u64()?;
        let message = from.shared(|from| from.frame(read_message).map(Arc::new))?;
        Ok(Letter { message, pool_serial })
    })
}

fn read_message(from: &mut Decoder<'_>) -> Read<Message> {
    let (serial, event) = (from.u64()?, read_event(from)?);
    Ok(Message { serial, event, payload: from.text()?.into() })
}

fn read_event(from: &mut Decoder<'_>) -> Read<EventType> {
    EventType::from_number(from.byte()?).ok_or(Unknown)
}

fn write_life(to: &mut Encoder, service: ServiceId, generation: Generation) {
    to.u32(service.0);
    to.u32(generation.0);
}

fn read_life(from: &mut Decoder<'_>) -> Read<(ServiceId, Generation)> {
    Ok((from.service()?, Generation(from.u32()?)))
}

pub(super) fn write_deed(to: &mut Encoder, deed: &Deed) {
    match deed {
        Deed::PoolAdded(spec) => {
            to.byte(0);
            write_spec(to, spec);
        }
        Deed::PoolRemoved(name) => {
            to.byte(1);
            to.text(name);
        }
        Deed::Offered(event, payload) => {
            to.byte(2);
            to.byte(event.number());
            to.text(payload);
        }
        Deed::Ticked(second) => {
            to.byte(3);
            to.i64(*second);
        }
        Deed::Process { service, generation, is_running } => {
            to.byte(4);
            write_life(to, *service, *generation);
            to.byte(u8::from(*is_running));
        }
        Deed::Heard { bytes, place, at } => {
            to.byte(5);
            to.blob(bytes);
            to.u64(*place);
            to.u64(at.0);
        }
        Deed::Ended { service, generation, channel } => {
            to.byte(6);
            write_life(to, *service, *generation);
            to.byte(channel.index() as u8);
        }
        Deed::Assigned(service, generation, server) => {
            to.byte(7);
            write_life(to, *service, *generation);
            to.text(server);
        }
        Deed::Packing(service, generation, bytes) => {
            to.byte(8);
            write_life(to, *service, *generation);
            to.u32(*bytes);
        }
        Deed::Moving => to.byte(9),
        Deed::Moved(sent) => {
            to.byte(10);
            to.u64(*sent);
        }
        Deed::Delivered(service, generation) => {
            to.byte(11);
            write_life(to, *service, *generation);
        }
        Deed::Deaf(service, generation) => {
            to.byte(12);
            write_life(to, *service, *generation);
        }
    }
}

pub(super) fn read_deed(from: &mut Decoder<'_>) -> Read<Deed> {
    Ok(match from.byte()? {
        0 => Deed::PoolAdded(read_spec(from)?),
        1 => Deed::PoolRemoved(from.text()?.into()),
        2 => Deed::Offered(read_event(from)?, from.text()?.into()),
        3 => Deed::Ticked(from.i64()?),
        4 => {
            let (service, generation) = read_life(from)?;
            Deed::Process { service, generation, is_running: from.byte()? == 1 }
        }
        5 => {
            let bytes = from.blob()?.to_vec();
            Deed::Heard { bytes, place: from.u64()?, at: Instant(from.u64()?) }
        }
        6 => {
            let (service, generation) = read_life(from)?;
            let channel = Channel::BOTH.get(usize::from(from.byte()?)).copied();
            Deed::Ended { service, generation, channel: channel.ok_or(Malformed)? }
        }
        7 => {
            let (service, generation) = read_life(from)?;
            Deed::Assigned(service, generation, from.text()?.into())
        }
        8 => {
            let (service, generation) = read_life(from)?;
            Deed::Packing(service, generation, from.u32()?)
        }
        9 => Deed::Moving,
        10 => Deed::Moved(from.u64()?),
        11 => read_life(from).map(|(service, generation)| Deed::Delivered(service, generation))?,
        12 => read_life(from).map(|(service, generation)| Deed::Deaf(service, generation))?,
        _ => return Err(Unknown),
    })
}
