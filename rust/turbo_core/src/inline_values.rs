//! Where the instances of a class keep their attributes, so that one is stored by writing a pointer.
//!
//! `CPython` has the first thirty attributes of an instance behind it, at the same places in each
//! instance of a class, and looks for the place of a name whenever one is stored: 250 instructions,
//! besides a dict of 300 where the class has a descriptor. It took two thirds of the time of an
//! instance. The places are learned from an instance in which `CPython` has stored.

use std::ffi::c_ulong;
use std::marker::PhantomData;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

/// `CPython`'s `PyDictValues`. As many pointers as its capacity follow, and behind these, for each
/// attribute in the order in which they were stored, the number of its place.
#[repr(C)]
struct Header {
    capacity: u8,
    size: u8,
    is_embedded: u8,
    is_valid: u8,
    values: [*mut ffi::PyObject; 0],
}

/// The flag of classes whose instances have them, which PyO3 does not declare.
const INLINE_VALUES: c_ulong = 1 << 2;

/// How many pointers before an instance that of its dict is, which is null until there is one.
const DICT_BEFORE: usize = 3;

/// The places of attributes that follow on each other, once an instance was seen that has them.
#[derive(Default)]
pub struct Places(OnceLock<Option<Box<[u8]>>>);

impl Places {
    /// Learn the places from an instance that has these values behind so many others.
    pub fn learn<'a, 'py: 'a>(
        &self,
        instance: &Bound<'py, PyAny>,
        before: usize,
        values: impl Iterator<Item = &'a Bound<'py, PyAny>>,
    ) {
        self.0
            .get_or_init(|| InlineValues::of(instance)?.places(before, values));
    }

    /// Whether an instance was seen that has them.
    pub fn is_known(&self) -> bool {
        matches!(self.0.get(), Some(Some(_)))
    }

    /// The value of the first, if an instance has it, or `None` unless it has inline values alone.
    #[inline]
    pub fn get<'py>(&self, instance: &Bound<'py, PyAny>) -> Option<Option<Bound<'py, PyAny>>> {
        let place = *self.0.get()?.as_deref()?.first()?;
        let inline = InlineValues::of(instance)?;
        if has_dict(instance) {
            return None;
        }
        // A place beyond those of the instance is that of an attribute it does not have.
        let value = inline.value(place).unwrap_or(std::ptr::null_mut());
        // SAFETY: it is null, or an object that the instance holds.
        Some(unsafe { Bound::from_borrowed_ptr_or_opt(instance.py(), value) })
    }

    /// The room for them in an instance that has so many other attributes, if they are known to
    /// fit.
    #[inline]
    pub fn room<'a, 'py>(
        &'a self,
        instance: &'a Bound<'py, PyAny>,
        before: usize,
    ) -> Option<Room<'a, 'py>> {
        let places = self.0.get()?.as_deref()?;
        let inline = InlineValues::of(instance)?;
        let is_free = |place: &u8| inline.value(*place).is_some_and(|value| value.is_null());
        let is_free = inline.size() == before && !has_dict(instance) && places.iter().all(is_free);
        is_free.then_some(Room { inline, places })
    }
}

/// Places in an instance that are free.
pub struct Room<'a, 'py> {
    inline: InlineValues<'a, 'py>,
    places: &'a [u8],
}

impl<'py> Room<'_, 'py> {
    /// Store a value in each place.
    #[inline]
    pub fn store(self, values: impl Iterator<Item = Bound<'py, PyAny>>) {
        for (place, value) in self.places.iter().zip(values) {
            // SAFETY: `room()` has seen that the place is in the instance and free, and there are
            // no two of it. A number for each is behind the capacity, of which the size is less.
            unsafe {
                let header = self.inline.header;
                let values = (&raw mut (*header).values).cast::<*mut ffi::PyObject>();
                let order = values.add(usize::from((*header).capacity)).cast::<u8>();
                *values.add(usize::from(*place)) = value.into_ptr();
                *order.add(usize::from((*header).size)) = *place;
                (*header).size += 1;
            }
        }
    }
}

/// The inline values of an instance that has no other attributes.
#[derive(Clone, Copy)]
struct InlineValues<'a, 'py> {
    header: *mut Header,
    instance: PhantomData<&'a Bound<'py, PyAny>>,
}

impl<'a, 'py> InlineValues<'a, 'py> {
    #[inline]
    fn of(instance: &'a Bound<'py, PyAny>) -> Option<Self> {
        if !has_known_layout(instance.py()) {
            return None;
        }
        // SAFETY: the class of an instance that is held is read. In these versions of CPython, the
        // flag says that the values are behind the instance, which has nothing else of its own.
        let header = unsafe {
            let class = ffi::Py_TYPE(instance.as_ptr());
            if ffi::PyType_HasFeature(class, INLINE_VALUES) == 0
                || (*class).tp_basicsize != size_of::<ffi::PyObject>() as ffi::Py_ssize_t
            {
                return None;
            }
            instance.as_ptr().add(1).cast::<Header>()
        };
        // SAFETY: as above. CPython says so where they are no longer the instance's attributes.
        let is_in_use = unsafe { (*header).is_embedded == 1 && (*header).is_valid == 1 };
        is_in_use.then_some(Self {
            header,
            instance: PhantomData,
        })
    }

    /// How many attributes are stored.
    #[inline]
    fn size(self) -> usize {
        // SAFETY: the instance is held, and has a header as `of()` has seen.
        usize::from(unsafe { (*self.header).size })
    }

    /// The value of a place, which is null if it is free.
    #[inline]
    fn value(self, place: u8) -> Option<*mut ffi::PyObject> {
        // SAFETY: as above, and there are as many values as the capacity says.
        unsafe {
            let values = (&raw const (*self.header).values).cast::<*mut ffi::PyObject>();
            (place < (*self.header).capacity).then(|| *values.add(usize::from(place)))
        }
    }

    /// The place of the attribute that was stored after so many others.
    fn place(self, index: usize) -> Option<u8> {
        if index >= self.size() {
            return None;
        }
        // SAFETY: as above, and behind the values there is a number for each that is stored.
        unsafe {
            let values = (&raw const (*self.header).values).cast::<*mut ffi::PyObject>();
            let order = values
                .add(usize::from((*self.header).capacity))
                .cast::<u8>();
            Some(*order.add(index))
        }
    }

    /// The places of these values, if these are what the instance has behind so many others.
    fn places<'b>(
        self,
        before: usize,
        values: impl Iterator<Item = &'b Bound<'py, PyAny>>,
    ) -> Option<Box<[u8]>>
    where
        'py: 'b,
    {
        let mut places: Vec<u8> = Vec::new();
        for (index, value) in (before..).zip(values) {
            let place = self.place(index)?;
            if self.value(place)? != value.as_ptr() || places.contains(&place) {
                return None;
            }
            places.push(place);
        }
        (self.size() == before + places.len()).then(|| places.into())
    }
}

/// Whether an instance with inline values has a dict, too, which counts them.
#[inline]
fn has_dict(instance: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the class of an instance with inline values has the flag for a dict before it.
    let dict = unsafe {
        *instance
            .as_ptr()
            .cast::<*mut ffi::PyObject>()
            .sub(DICT_BEFORE)
    };
    !dict.is_null()
}

/// Whether inline values are as they are in `CPython` 3.13 and 3.14.
#[inline]
fn has_known_layout(py: Python<'_>) -> bool {
    static IS_KNOWN: OnceLock<bool> = OnceLock::new();
    *IS_KNOWN.get_or_init(|| {
        let version = py.version_info();
        // Without a GIL, an object begins with more, and what is before it is in another order.
        let has_gil = size_of::<ffi::PyObject>() == 2 * size_of::<usize>();
        has_gil && matches!((version.major, version.minor), (3, 13 | 14))
    })
}
