//! A GGUF file: its metadata through candle's reader, its tensors as checked ranges of the mapped file.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use memmap2::Mmap;

use super::matrix::{Data, Matrix};
use crate::engine::EngineError;
use crate::engine::kernels::kquant::Format;
use crate::engine::kernels::map::map_file;
use crate::engine::kernels::q8;

/// An open GGUF file.
pub struct GgufFile {
    name: String,
    map: Arc<Mmap>,
    content: Content,
}

impl GgufFile {
    /// Maps the file and reads its header; no weight is touched.
    ///
    /// # Errors
    /// When it cannot be opened or is no whole GGUF file.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let name = path.display().to_string();
        let map = map_file(path).map_err(|error| model_error(&name, format!("cannot be opened: {error}")))?;
        let content = Content::read(&mut Cursor::new(&map[..])).map_err(|error| {
            let cause = error.to_string();
            let line = cause.lines().next().unwrap_or_default();
            model_error(&name, format!("is not a whole GGUF model ({line}): fetch it again"))
        })?;
        Ok(Self { name, map: Arc::new(map), content })
    }

    /// The header.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// An error about this file.
    pub fn error(&self, cause: impl Into<String>) -> EngineError {
        model_error(&self.name, cause)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    /// A number of the metadata that the model cannot do without, between 1 and a billion.
    ///
    /// # Errors
    /// When it is missing or out of range.
    pub fn count(&self, key: &str) -> Result<usize, EngineError> {
        self.optional_count(key).ok_or_else(|| self.error(format!("has no usable `{key}` in its metadata")))
    }

    /// As [`Self::count`], where the model may lack it.
    pub fn optional_count(&self, key: &str) -> Option<usize> {
        let number = match self.value(key)? {
            Value::U32(number) => u64::from(*number),
            Value::U64(number) => *number,
            Value::I32(number) => u64::try_from(*number).ok()?,
            Value::U16(number) => u64::from(*number),
            _ => return None,
        };
        (1..=1_000_000_000).contains(&number).then_some(number as usize)
    }

    /// A float of the metadata.
    pub fn float(&self, key: &str) -> Option<f32> {
        self.value(key)?.to_f32().ok().filter(|value| value.is_finite())
    }

    /// A text of the metadata.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.to_string().ok().map(String::as_str)
    }

    /// Whether the file has this tensor.
    pub fn has(&self, tensor: &str) -> bool {
        self.content.tensor_infos.contains_key(tensor)
    }

    /// The shape, format and checked byte range of a tensor.
    fn locate(&self, tensor: &str) -> Result<(Vec<usize>, GgmlDType, Range<usize>), EngineError> {
        let info = self.content.tensor_infos.get(tensor).ok_or_else(|| {
            self.error(format!("has no tensor `{tensor}`: the file is damaged or of an unknown variant"))
        })?;
        let dims = info.shape.dims().to_vec();
        let damaged = || self.error(format!("is damaged: tensor `{tensor}` lies outside of the file"));
        let elements = dims.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim)).ok_or_else(damaged)?;
        let (block, bytes) = (info.ggml_dtype.block_size(), info.ggml_dtype.type_size());
        if elements == 0 || !elements.is_multiple_of(block) {
            return Err(self.error(format!("is damaged: tensor `{tensor}` has shape {dims:?}")));
        }
        let start = usize::try_from(info.offset)
            .ok()
            .and_then(|offset| offset.checked_add(self.content.tensor_data_offset as usize))
            .ok_or_else(damaged)?;
        let size = (elements / block).checked_mul(bytes).ok_or_else(damaged)?;
        let end = start.checked_add(size).filter(|&end| end <= self.map.len()).ok_or_else(damaged)?;
        Ok((dims, info.ggml_dtype, start..end))
    }

    /// A weight matrix of shape `[n, k]`, left where it lies unless its format has to be widened.
    ///
    /// # Errors
    /// When it is missing, has another shape, or is of a format without kernel.
    pub fn matrix(&self, tensor: &str, n: usize, k: usize) -> Result<Matrix, EngineError> {
        let (dims, dtype, range) = self.locate(tensor)?;
        if dims != [n, k] {
            return Err(self.error(format!("is damaged: tensor `{tensor}` has shape {dims:?}, not [{n}, {k}]")));
        }
        let bytes = &self.map[range.clone()];
        let mapped = |format| Data::KQuant { format, map: self.map.clone(), range: range.clone() };
        let data = match dtype {
            GgmlDType::Q4K if k.is_multiple_of(256) => mapped(Format::Q4K),
            GgmlDType::Q5K if k.is_multiple_of(256) => mapped(Format::Q5K),
            GgmlDType::Q6K if k.is_multiple_of(256) => mapped(Format::Q6K),
            GgmlDType::Q8_0 => Data::Q8Mapped { map: self.map.clone(), range },
            GgmlDType::Q5_0 => Data::Q8(q8::widen_q5_0(bytes)),
            GgmlDType::Q4_0 => Data::Q8(q8::widen_q4_0(bytes)),
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => Data::F32(self.floats_at(dtype, &dims, bytes)?),
            other => {
                let advice = "convert the model to Q4_K_M, Q5_K_M, Q6_K or Q8_0";
                return Err(self.error(format!("tensor `{tensor}` is {other:?}, which has no kernel here: {advice}")));
            }
        };
        Ok(Matrix { n, k, data })
    }

    /// A vector of `len` numbers.
    ///
    /// # Errors
    /// When it is missing or has another length.
    pub fn vector(&self, tensor: &str, len: usize) -> Result<Vec<f32>, EngineError> {
        let (dims, dtype, range) = self.locate(tensor)?;
        if dims != [len] {
            return Err(self.error(format!("is damaged: tensor `{tensor}` has shape {dims:?}, not [{len}]")));
        }
        self.floats_at(dtype, &dims, &self.map[range])
    }

    fn floats_at(&self, dtype: GgmlDType, dims: &[usize], bytes: &[u8]) -> Result<Vec<f32>, EngineError> {
        let storage = QStorage::from_data(bytes.into(), &Device::Cpu, dtype)?;
        let tensor = QTensor::new(storage, dims)?.dequantize(&Device::Cpu)?;
        Ok(tensor.flatten_all()?.to_vec1()?)
    }
}

fn model_error(file: &str, cause: impl Into<String>) -> EngineError {
    EngineError::Model { file: file.to_owned(), cause: cause.into() }
}
