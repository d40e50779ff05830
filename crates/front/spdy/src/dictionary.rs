//! The dictionary that both directions of header compression begin with: SPDY/3, section 2.6.10.1.
//!
//! It is a list of words, each behind its length as a header block has them, and a text without lengths. The checksum of
//! the whole is on the wire, so a wrong letter here is noticed with the first header block.

use std::sync::LazyLock;

const WORDS: &str = "\
    options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,\
    accept-ranges,age,allow,authorization,cache-control,connection,content-base,content-encoding,\
    content-language,content-length,content-location,content-md5,content-range,content-type,date,etag,\
    expect,expires,from,host,if-match,if-modified-since,if-none-match,if-range,if-unmodified-since,\
    last-modified,location,max-forwards,pragma,proxy-authenticate,proxy-authorization,range,referer,\
    retry-after,server,te,trailer,transfer-encoding,upgrade,user-agent,vary,via,warning,\
    www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,keep-alive,origin\
";

const TEXT: &str = "\
    100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritativ\
    e Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 I\
    nternal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov De\
    c 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/x\
    ml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset\
    =iso-8859-1,utf-,*,enq=0.\
";

/// The dictionary.
pub fn dictionary() -> &'static [u8] {
    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut whole = Vec::new();
        for word in WORDS.split(',') {
            // The longest word has 19 letters.
            whole.extend_from_slice(&[0, 0, 0, word.len() as u8]);
            whole.extend_from_slice(word.as_bytes());
        }
        whole.extend_from_slice(TEXT.as_bytes());
        whole
    });
    &WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_has_its_checksum() {
        let (mut low, mut high) = (1u32, 0u32);
        for byte in dictionary() {
            low = (low + u32::from(*byte)) % 65_521;
            high = (high + low) % 65_521;
        }
        assert_eq!((dictionary().len(), high << 16 | low), (1423, 0xe3c6_a7c2));
    }
}
