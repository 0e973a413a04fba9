//! How attributes are named: by a constant that fixes the type, or by plain text.

use std::fmt;
use std::marker::PhantomData;

/// An attribute's name and the type of its values, best kept in a constant: then every
/// use agrees on both.
///
/// ```
/// use tenure::Attribute;
///
/// const HITS: Attribute<u64> = Attribute::new("hits");
/// assert_eq!(HITS.name(), "hits");
/// ```
///
/// The value is stored as MessagePack with its fields' names: a type may gain fields that
/// have `#[serde(default)]`, and lose others, while sessions live on.
pub struct Attribute<T: ?Sized> {
    name: &'static str,
    value: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Attribute<T> {
    /// The attribute with this name.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<T: ?Sized> Clone for Attribute<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Attribute<T> {}

impl<T: ?Sized> fmt::Debug for Attribute<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({:?})", self.name)
    }
}

/// What names an attribute, whatever the type of its values: an [`Attribute`], or text.
pub trait AnyAttribute {
    /// The name.
    fn name(&self) -> &str;
}

/// What names an attribute whose values are of type `T`: an [`Attribute<T>`](Attribute),
/// which fixes the type, or plain text, which leaves it to the call.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use serde::{Serialize, de::DeserializeOwned};
/// # use tenure::{AnyAttribute, Attribute, AttributeName};
/// # #[derive(Default)]
/// # struct Values(BTreeMap<String, serde_json::Value>);
/// # impl Values {
/// #     fn get<T: DeserializeOwned>(&self, name: impl AttributeName<T>) -> Option<T> {
/// #         self.0.get(name.name()).cloned().and_then(|value| serde_json::from_value(value).ok())
/// #     }
/// #     fn set<T: Serialize + ?Sized>(&mut self, name: impl AttributeName<T>, value: &T) {
/// #         self.0.insert(name.name().into(), serde_json::to_value(value).expect("a value"));
/// #     }
/// #     fn update<T: Serialize + DeserializeOwned>(
/// #         &mut self,
/// #         name: impl AttributeName<T>,
/// #         next: impl Fn(Option<T>) -> T,
/// #     ) -> T {
/// #         let value = next(self.0.get(name.name()).cloned().and_then(|v| serde_json::from_value(v).ok()));
/// #         self.set(name.name(), &value);
/// #         value
/// #     }
/// #     fn remove(&mut self, name: impl AnyAttribute) -> bool {
/// #         self.0.remove(name.name()).is_some()
/// #     }
/// # }
/// # let mut session = Values::default();
/// const CART: Attribute<Vec<u32>> = Attribute::new("cart");
/// const HITS: Attribute<u64> = Attribute::new("hits");
///
/// session.set(CART, &vec![7, 9]);
/// let cart = session.get(CART).unwrap_or_default();
/// assert_eq!(cart.iter().max(), Some(&9));
/// assert_eq!(session.update(HITS, |hits| hits.unwrap_or(0) + 1), 1);
///
/// session.set("theme", "dark");
/// session.set("count", &0);
/// let theme = session.get::<serde_json::Value>("theme");
/// assert_eq!(theme, Some("dark".into()));
/// let count: Option<i32> = session.get("count");
/// assert_eq!(count, Some(0));
///
/// assert!(session.remove(CART) && session.remove("theme"));
/// ```
///
/// A constant takes values of its own type only:
///
/// ```compile_fail,E0277
/// # use tenure::{Attribute, AttributeName};
/// # fn set<T>(name: impl AttributeName<T>, value: &T) {}
/// const HITS: Attribute<u64> = Attribute::new("hits");
/// set(HITS, &"many");
/// ```
pub trait AttributeName<T: ?Sized>: AnyAttribute {}

impl<T: ?Sized> AnyAttribute for Attribute<T> {
    fn name(&self) -> &str {
        self.name
    }
}

impl<T: ?Sized> AttributeName<T> for Attribute<T> {}

impl AnyAttribute for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T: ?Sized> AttributeName<T> for &str {}
