//! What a value must not hold, as it could be written and not read again; and the one
//! number that is written otherwise than it asks for.
//!
//! A value is written without knowing the type as which it will be read, so this goes by
//! what serde is told while it is written.

use std::fmt::Display;

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

/// serde reads none inside tagged, untagged or flattened types, and whether a number is in
/// one of those cannot be seen when it is written.
pub(super) const WIDE: &str = "it has a number of 128 bits, which cannot be read back \
     everywhere; store it as text, or as two numbers";
/// MessagePack, as JSON, writes both as nothing.
pub(super) const HOLLOW: &str = "it has a `Some` of nothing, such as `Some(None)` or \
     `Some(())`, which would be read as `None`; use an enum";
/// It is read by JSON's own reader alone.
pub(super) const RAW: &str = "it has a `RawValue`, which only JSON can read; use a `Value`";

/// All of them.
pub(super) const REFUSALS: [&str; 3] = [WIDE, HOLLOW, RAW];

/// How `serde_json` writes a number with its feature `arbitrary_precision`, which any crate of
/// a program may turn on: as a struct of this name, whose one field, of this name too, is the
/// number's text. Read as `u32`, that would be no number.
const NUMBER: &str = "$serde_json::private::Number";
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Passes on what a value says of itself, to a serialiser that writes it.
pub(super) struct Guard<S>(pub(super) S);

/// A value whose own values are guarded as well.
struct Guarded<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Serialize for Guarded<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(Guard(serializer))
    }
}

macro_rules! pass_on {
    ($($method:ident $value:ty,)*) => {
        $(fn $method(self, value: $value) -> Result<S::Ok, S::Error> {
            self.0.$method(value)
        })*
    };
}

impl<S: Serializer> Serializer for Guard<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Guard<S::SerializeSeq>;
    type SerializeTuple = Guard<S::SerializeTuple>;
    type SerializeTupleStruct = Guard<S::SerializeTupleStruct>;
    type SerializeTupleVariant = Guard<S::SerializeTupleVariant>;
    type SerializeMap = Guard<S::SerializeMap>;
    type SerializeStruct = Fields<S>;
    type SerializeStructVariant = Guard<S::SerializeStructVariant>;

    pass_on! {
        serialize_bool bool,
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
        serialize_f32 f32, serialize_f64 f64,
        serialize_char char, serialize_str &str, serialize_bytes &[u8],
        serialize_unit_struct &'static str,
    }

    fn serialize_i128(self, _: i128) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(WIDE))
    }

    fn serialize_u128(self, _: u128) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom(WIDE))
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        if value.serialize(IsNothing).is_ok() {
            return Err(S::Error::custom(HOLLOW));
        }
        self.0.serialize_some(&Guarded(value))
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        self.0.serialize_newtype_struct(name, &Guarded(value))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = &Guarded(value);
        self.0
            .serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.0.serialize_seq(len).map(Guard)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.0.serialize_tuple(len).map(Guard)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.0.serialize_tuple_struct(name, len).map(Guard)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let inner = self.0.serialize_tuple_variant(name, index, variant, len);
        inner.map(Guard)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.0.serialize_map(len).map(Guard)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        match name {
            NUMBER => Ok(Fields::Number(self.0, String::new())),
            RAW_VALUE => Err(S::Error::custom(RAW)),
            _ => self.0.serialize_struct(name, len).map(Fields::Any),
        }
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let inner = self.0.serialize_struct_variant(name, index, variant, len);
        inner.map(Guard)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.0.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Parts of a value that have no names.
macro_rules! unnamed {
    ($($trait:ident $method:ident,)*) => {
        $(impl<S: $trait> $trait for Guard<S> {
            type Ok = S::Ok;
            type Error = S::Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
                self.0.$method(&Guarded(value))
            }

            fn end(self) -> Result<S::Ok, S::Error> {
                self.0.end()
            }
        })*
    };
}

unnamed! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

impl<S: SerializeMap> SerializeMap for Guard<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), S::Error> {
        self.0.serialize_key(&Guarded(key))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), S::Error> {
        self.0.serialize_value(&Guarded(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStructVariant> SerializeStructVariant for Guard<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        self.0.serialize_field(key, &Guarded(value))
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

/// The fields of a struct, or the text of one that stands for a number.
pub(super) enum Fields<S: Serializer> {
    Any(S::SerializeStruct),
    Number(S, String),
}

impl<S: Serializer> SerializeStruct for Fields<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), S::Error> {
        match self {
            Fields::Any(fields) => fields.serialize_field(key, &Guarded(value)),
            Fields::Number(_, text) => {
                *text = value.serialize(Text).map_err(S::Error::custom)?;
                Ok(())
            }
        }
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        match self {
            Fields::Any(fields) => fields.end(),
            Fields::Number(serializer, text) => number(serializer, &text),
        }
    }
}

/// As the number that it is, if one of 64 bits has just this text; else as it asked for,
/// which JSON's own types read.
fn number<S: Serializer>(serializer: S, text: &str) -> Result<S::Ok, S::Error> {
    if let Ok(number) = text.parse::<u64>() {
        return serializer.serialize_u64(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return serializer.serialize_i64(number);
    }
    match text.parse::<f64>() {
        Ok(number) if format!("{number:?}") == text => serializer.serialize_f64(number),
        _ => {
            let mut fields = serializer.serialize_struct(NUMBER, 1)?;
            fields.serialize_field(NUMBER, text)?;
            fields.end()
        }
    }
}

/// What [`Text`] and [`IsNothing`] find.
#[derive(Debug, thiserror::Error)]
#[error("it is something else")]
pub(super) struct SomethingElse;

impl serde::ser::Error for SomethingElse {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// Refuses all these, for a serialiser that takes little.
macro_rules! something_else {
    ($ok:ty) => {
        something_else!(@values serialize_bool bool, serialize_i8 i8, serialize_i16 i16,
            serialize_i32 i32, serialize_i64 i64, serialize_u8 u8, serialize_u16 u16,
            serialize_u32 u32, serialize_u64 u64, serialize_f32 f32, serialize_f64 f64,
            serialize_i128 i128, serialize_u128 u128, serialize_char char,
            serialize_bytes &[u8], serialize_unit_struct &'static str,);

        type Ok = $ok;
        type Error = SomethingElse;
        type SerializeSeq = Impossible<$ok, SomethingElse>;
        type SerializeTuple = Impossible<$ok, SomethingElse>;
        type SerializeTupleStruct = Impossible<$ok, SomethingElse>;
        type SerializeTupleVariant = Impossible<$ok, SomethingElse>;
        type SerializeMap = Impossible<$ok, SomethingElse>;
        type SerializeStruct = Impossible<$ok, SomethingElse>;
        type SerializeStructVariant = Impossible<$ok, SomethingElse>;

        fn serialize_unit_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
        ) -> Result<$ok, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_newtype_variant<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: &T,
        ) -> Result<$ok, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_tuple_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleStruct, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_tuple_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeTupleVariant, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_struct(
            self,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStruct, SomethingElse> {
            Err(SomethingElse)
        }

        fn serialize_struct_variant(
            self,
            _: &'static str,
            _: u32,
            _: &'static str,
            _: usize,
        ) -> Result<Self::SerializeStructVariant, SomethingElse> {
            Err(SomethingElse)
        }
    };
    (@values $($method:ident $value:ty,)*) => {
        $(fn $method(self, _: $value) -> Result<Self::Ok, SomethingElse> {
            Err(SomethingElse)
        })*
    };
}

/// Takes what is written as nothing, and that alone.
struct IsNothing;

impl Serializer for IsNothing {
    something_else!(());

    fn serialize_str(self, _: &str) -> Result<(), SomethingElse> {
        Err(SomethingElse)
    }

    // Nothing is formatted in vain.
    fn collect_str<T: Display + ?Sized>(self, _: &T) -> Result<(), SomethingElse> {
        Err(SomethingElse)
    }

    fn serialize_none(self) -> Result<(), SomethingElse> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), SomethingElse> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), SomethingElse> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), SomethingElse> {
        value.serialize(self)
    }
}

/// Takes a text, and nothing else.
struct Text;

impl Serializer for Text {
    something_else!(String);

    fn serialize_str(self, text: &str) -> Result<String, SomethingElse> {
        Ok(text.to_owned())
    }

    fn serialize_none(self) -> Result<String, SomethingElse> {
        Err(SomethingElse)
    }

    fn serialize_unit(self) -> Result<String, SomethingElse> {
        Err(SomethingElse)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<String, SomethingElse> {
        Err(SomethingElse)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: &T,
    ) -> Result<String, SomethingElse> {
        Err(SomethingElse)
    }
}
